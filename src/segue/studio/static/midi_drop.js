// A MIDI file dropped anywhere on the page.

/**
 * @param {Room} room
 * @returns {() => void} stops watching
 */
export function watchFiles(room) {
  const stop = new AbortController();
  const on = (name, handler) => document.addEventListener(name, handler, { signal: stop.signal });
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const show = (over) => room.node.classList.toggle("dropping", over);
  on("dragover", (event) => {
    if (hasFiles(event)) {
      event.preventDefault();
      show(true);
    }
  });
  on("dragleave", (event) => event.relatedTarget === null && show(false));
  on("drop", (event) => {
    show(false);
    if (hasFiles(event)) {
      event.preventDefault();
      const [file] = event.dataTransfer.files;
      if (file) {
        room.openFile(file);
      }
    }
  });
  return () => stop.abort();
}
