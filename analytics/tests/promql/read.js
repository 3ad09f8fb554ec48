// From a JSON list of expressions on standard input to a list of what was read: the metrics, and where the first fault is.
import { readFileSync } from "node:fs";
import { parser } from "@prometheus-io/lezer-promql";

function read(expression) {
  const metrics = [];
  let fault = null;
  parser.parse(expression).iterate({
    enter({ type, node, from, to }) {
      if (type.isError) fault ??= from;
      if (type.name === "Identifier" && node.parent?.name === "VectorSelector") metrics.push(expression.slice(from, to));
    },
  });
  return { metrics, fault };
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(read)));
