// Names of the keys of a General MIDI drum kit (General MIDI System Level 1, keys 35 to 81).

const NAMES = [
  "Kick 2", "Kick", "Side stick", "Snare", "Clap", "Snare 2", "Floor tom", "Closed hat", "Floor tom 2",
  "Pedal hat", "Low tom", "Open hat", "Mid tom", "High mid tom", "Crash", "High tom", "Ride", "China",
  "Ride bell", "Tambourine", "Splash", "Cowbell", "Crash 2", "Vibraslap", "Ride 2", "High bongo",
  "Low bongo", "Mute conga", "Open conga", "Low conga", "High timbale", "Low timbale", "High agogo",
  "Low agogo", "Cabasa", "Maracas", "Short whistle", "Long whistle", "Short guiro", "Long guiro", "Claves",
  "High block", "Low block", "Mute cuica", "Open cuica", "Mute triangle", "Open triangle",
];

/** @param {number} key of MIDI @returns {string} */
export function drumName(key) {
  return NAMES[key - 35] ?? `Key ${key}`;
}
