// Runs a published receiver on a free port: `node run_receiver.mjs FILE`. Prints `listening PORT`, then
// a line for each thing that the receiver does with what it got.
import { createRequire } from "node:module";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const file = path.resolve(process.argv[2]);

// Whatever port a receiver asks for, it gets a free one.
const listen = http.Server.prototype.listen;
http.Server.prototype.listen = function () {
  return listen.call(this, 0, "127.0.0.1", () => console.log(`listening ${this.address().port}`));
};

// What the documents leave to the reader.
const handled = new Set();
globalThis.alreadyProcessed = (id) => handled.has(id) || (handled.add(id), false);
const tell = (what) => async (...given) => console.log(`${what} ${JSON.stringify(given)}`);
globalThis.db = { verifications: { update: tell("update") } };
for (const name of [
  "approveCustomerApplication", "sendNotificationEmail", "addToReviewQueue", "handleFailedVerification",
]) {
  globalThis[name] = tell(name);
}

if (file.endsWith(".cjs")) {
  // Its document shows the handlers and not the start: take the app that it makes, and start that.
  const require = createRequire(file);
  const express = require("express");
  let app;
  const wrapped = Object.assign(() => (app = express()), express);
  require.cache[require.resolve("express")].exports = wrapped;
  require(file);
  app.listen();
} else {
  await import(pathToFileURL(file));
}
