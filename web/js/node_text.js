import { app } from "../../../scripts/app.js";

const NAME = "kinetophone_note";
const LABEL = "What the run says";
const LEAST_HEIGHT = 60;

// Shows on a node what it says of its run: sizes that were changed, words that are unknown, offsets that were found.
app.registerExtension({
  name: "Kinetophone.NodeText",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("Kinetophone")) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      const text = output?.text?.join?.("\n") ?? "";
      const note = this.widgets?.find((widget) => widget.name === NAME) ?? (text && addNote(this));
      if (note) note.value = text;
    };
  },
});

// The note is made when there is first something to say, and is never part of a workflow.
function addNote(node) {
  const element = noteElement();
  const widget = node.addDOMWidget(NAME, "note", element, {
    getValue: () => element.textContent,
    setValue: (text) => (element.textContent = text),
    getMinHeight: () => LEAST_HEIGHT,
    serialize: false,
  });
  widget.serialize = false;
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  return widget;
}

// A screen reader says a status when it changes; it can have the focus, so that keys scroll it.
function noteElement() {
  const element = document.createElement("div");
  element.className = "comfy-multiline-input";
  element.tabIndex = 0;
  element.setAttribute("role", "status");
  element.setAttribute("aria-label", LABEL);
  Object.assign(element.style, { whiteSpace: "pre-wrap", overflowWrap: "anywhere", userSelect: "text" });
  // What is selected in the note is copied, not the selected nodes; and no key that has the focus deletes these.
  element.addEventListener("copy", (event) => event.stopPropagation());
  element.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey) event.stopPropagation();
  });
  // The wheel scrolls the note where it is longer than its place, and else zooms the canvas.
  element.addEventListener("wheel", (event) => {
    event.stopPropagation();
    if (!event.ctrlKey && element.scrollHeight > element.clientHeight) return;
    event.preventDefault();
    app.canvas.processMouseWheel(event);
  });
  return element;
}
