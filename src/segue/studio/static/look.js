// The look-into room.

/** What the help dialog says of this room. */
export const shortcuts = [];

/**
 * @param {HTMLElement} root
 * @param {{api: object, info: object, ui: object}} context
 * @returns {Promise<{unmount: () => void}>}
 */
export async function mount(root, { ui }) {
  root.append(ui.element("h1", { text: "Look into" }));
  return { unmount() {} };
}
