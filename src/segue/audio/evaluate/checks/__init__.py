"""What `segue doctor RUN` looks at in an audio run or bundle, one stage to a file.

Every check is a function of numbers or of a model that gives a `segue.core.findings.Finding`;
`segue.audio.evaluate.checks.examine` puts them in the order of the pipeline.
"""
