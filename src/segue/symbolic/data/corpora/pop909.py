"""POP909: piano arrangements of pop songs with melody, bridge and piano in tracks of their own.

It is published as a repository. The address names one commit; the server packs it for each request
and promises no bytes, so that there is no hash to compare with.
"""

from segue.core.corpus import Archive, Corpus

COMMIT = "d83e6edba6872a704f5d3b8b32f5cb540088dae6"

CORPORA = (
    Corpus(
        name="pop909",
        title="909 Chinese pop songs arranged for piano, and 1,989 other versions of them",
        archives=(
            Archive(
                f"https://github.com/music-x-lab/POP909-Dataset/archive/{COMMIT}.zip",
                50_105_665,
                None,
                exact=False,
            ),
        ),
        licence="MIT for the arrangements and annotations; the songs are under copyright",
        citation=(
            "Z. Wang, K. Chen, J. Jiang, Y. Zhang, M. Xu, S. Dai, G. Bin, G. Xia: POP909: A "
            "Pop-song Dataset for Music Arrangement Generation. 21st International Society for "
            "Music Information Retrieval Conference (ISMIR), 2020"
        ),
        homepage="https://github.com/music-x-lab/POP909-Dataset",
        num_files=2_898,
    ),
)
