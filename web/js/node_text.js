import { app } from "../../../scripts/app.js";
import { ComfyWidgets } from "../../../scripts/widgets.js";

const NAME = "kinetophone_note";
const LEAST_HEIGHT = 60;

// Shows on a node what it says of its run: sizes that were changed, words that are unknown, offsets that were found.
app.registerExtension({
  name: "Kinetophone.NodeText",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (!nodeData.name.startsWith("Kinetophone")) return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      const text = output?.text?.join?.("\n");
      if (text) noteOf(this).value = text;
    };
  },
});

// The note is made when there is first something to say, and is never part of a workflow.
function noteOf(node) {
  const found = node.widgets?.find((widget) => widget.name === NAME);
  if (found) return found;
  const { widget } = ComfyWidgets.STRING(node, NAME, ["STRING", { multiline: true }], app);
  widget.serialize = false;
  widget.options.serialize = false;
  widget.options.getMinHeight = () => LEAST_HEIGHT;
  const element = widget.element ?? widget.inputEl;
  if (element) {
    element.readOnly = true;
    element.style.opacity = "0.75";
  }
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
  return widget;
}
