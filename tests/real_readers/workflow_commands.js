// What @actions/core writes for the annotations on stdin: [[level, message, properties], ...]
const core = require(process.argv[2] + "/node_modules/@actions/core");
const annotations = JSON.parse(require("fs").readFileSync(0, "utf8"));
for (const [level, message, properties] of annotations) core[level](message, properties);
