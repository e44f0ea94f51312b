// Writes each line of standard input as JSON.stringify(JSON.parse(line)).
import fs from "node:fs";

const lines = fs.readFileSync(0, "utf8").split("\n");
lines.pop();
process.stdout.write(lines.map((line) => `${JSON.stringify(JSON.parse(line))}\n`).join(""));
