/** How the node is asked: together, once, and without taking an answer's absence for a broken proof. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { test } from "node:test";

import { RpcError, remembering, rpcAt } from "../../../contracts/js/chain.js";

/** A node that runs `answer` on each posted body; gives the node's address and what was posted to it. */
async function withNode(answer, use) {
  const posted = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    posted.push(JSON.parse(body));
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(answer(posted.at(-1))));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  try {
    await use(`http://127.0.0.1:${server.address().port}`, posted);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const echo = ({ id, method }) => ({ jsonrpc: "2.0", id, result: method });

test("questions put at the same time travel together, in any order back", async () => {
  const node = (body) => (Array.isArray(body) ? body.map(echo).reverse() : echo(body));
  await withNode(node, async (url, posted) => {
    const rpc = rpcAt(url);
    assert.deepEqual(await Promise.all([rpc("a", []), rpc("b", []), rpc("c", [])]), ["a", "b", "c"]);
    assert.equal(await rpc("d", []), "d");
    assert.equal(posted.length, 2);
  });
});

test("a node that takes no lists is asked one by one", async () => {
  const node = (body) => (Array.isArray(body) ? { jsonrpc: "2.0", id: null, error: { code: -32600 } } : echo(body));
  await withNode(node, async (url) => {
    const rpc = rpcAt(url);
    assert.deepEqual(await Promise.all([rpc("a", []), rpc("b", [])]), ["a", "b"]);
  });
});

test("a refused question harms no other", async () => {
  const answer = (one) => (one.method === "bad" ? { id: one.id, error: { code: 3 } } : echo(one));
  await withNode((body) => (Array.isArray(body) ? body.map(answer) : answer(body)), async (url) => {
    const rpc = rpcAt(url);
    const [good, bad] = await Promise.allSettled([rpc("good", []), rpc("bad", [])]);
    assert.equal(good.value, "good");
    assert.ok(bad.reason instanceof RpcError);
  });
});

test("no node, nonsense and a missing answer are silence, not an answer", async () => {
  await assert.rejects(rpcAt("http://127.0.0.1:9")("a", []), RpcError);
  await withNode(() => "nonsense", (url) => assert.rejects(rpcAt(url)("a", []), RpcError));
  await withNode(() => [], (url) => assert.rejects(rpcAt(url)("a", []), RpcError));
});

test("a remembering node is asked each question once", async () => {
  let asked = 0;
  const rpc = remembering(async (method) => {
    asked += 1;
    return method;
  });
  assert.deepEqual(await Promise.all([rpc("a", [1]), rpc("a", [1]), rpc("a", [2])]), ["a", "a", "a"]);
  assert.equal(asked, 2);
});
