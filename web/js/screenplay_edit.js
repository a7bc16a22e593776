import { app } from "../../../scripts/app.js";

// Fills the text of Edit Screenplay with what came in, where there is nothing yet to lose.
app.registerExtension({
  name: "Kinetophone.ScreenplayEdit",
  beforeRegisterNodeDef(nodeType, nodeData) {
    if (nodeData.name !== "KinetophoneScreenplayEdit") return;
    const onExecuted = nodeType.prototype.onExecuted;
    nodeType.prototype.onExecuted = function (output) {
      onExecuted?.apply(this, arguments);
      const widget = this.widgets?.find((candidate) => candidate.name === "text");
      const board = output?.storyboard?.[0];
      if (widget && board && !widget.value.trim()) widget.value = board;
    };
  },
});
