// An agent: prints each message of a subscription as a line, until the server ends it.
//
// usage: NODE_PATH=/usr/share/nodejs node agent.cjs WS-URL TOKEN-FILE
//
// The sister of agent.py, with the package `ws`. A CommonJS module, since only these look into NODE_PATH.

"use strict";

const { readFileSync } = require("node:fs");
const WebSocket = require("ws");

const [url, tokenFile] = process.argv.slice(2);
const token = readFileSync(tokenFile, "utf8").trim();
const socket = new WebSocket(url, ["json"], { headers: { authorization: `Bearer ${token}` } });

socket.on("message", (text) => process.stdout.write(`${text}\n`));
socket.on("close", (code, reason) => process.stderr.write(`closed: ${code} ${reason}\n`));
socket.on("error", (error) => {
  process.stderr.write(`${error}\n`);
  process.exitCode = 1;
});
