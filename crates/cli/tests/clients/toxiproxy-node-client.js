// Drives every call of npm's toxiproxy-node-client against a server: `node toxiproxy-node-client.js http://HOST:PORT`.
"use strict";
const assert = require("node:assert/strict");
const net = require("node:net");
const { Toxiproxy, Proxy, Toxic } = require("toxiproxy-node-client");

// Which methods have been called, so that a call that the client gets some day does not go untried.
const called = new Set();
const methods = [];
for (const [name, of] of Object.entries({ Toxiproxy, Proxy, Toxic })) {
  for (const method of Object.getOwnPropertyNames(of.prototype).filter((method) => method !== "constructor")) {
    const real = of.prototype[method];
    methods.push(`${name}.${method}`);
    of.prototype[method] = function (...given) {
      called.add(`${name}.${method}`);
      return real.apply(this, given);
    };
  }
}

// Sends a line through a proxy; gives back what comes back, and how long that took in milliseconds.
function echo(listen) {
  const [host, port] = listen.split(":");
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true });
    const begin = process.hrtime.bigint();
    let got = "";
    socket.on("connect", () => socket.write("hello\n"));
    socket.on("data", (data) => {
      got += data;
      if (got.endsWith("\n")) socket.end();
    });
    socket.on("error", reject);
    socket.on("close", () => resolve({ got, millis: Number(process.hrtime.bigint() - begin) / 1e6 }));
  });
}

async function main(host) {
  const server = net.createServer((socket) => socket.on("error", () => {}).pipe(socket));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const upstream = `127.0.0.1:${server.address().port}`;
  const client = new Toxiproxy(host);

  assert.ok(client.getApi());
  assert.match(JSON.parse(await client.getVersion()).version, /^2\.\d+\.\d+$/);
  assert.deepEqual(await client.getAll(), {});

  // Create, read, and what is refused.
  const created = await client.createProxy({ name: "echo", listen: "localhost:0", upstream });
  assert.match(created.listen, /^127\.0\.0\.1:[1-9]\d*$/);
  assert.deepEqual(created.toJson(), { name: "echo", listen: created.listen, upstream, enabled: true });
  assert.equal(created.getToxiproxy(), client);
  assert.equal(created.getPath(), `${created.getHost()}/proxies/echo`);
  assert.equal((await echo(created.listen)).got, "hello\n");
  assert.deepEqual((await client.get("echo")).toJson(), created.toJson());
  assert.deepEqual(Object.keys(await client.getAll()), ["echo"]);
  await assert.rejects(client.createProxy({ name: "echo", listen: "localhost:0", upstream }), /409/);
  await assert.rejects(client.get("none"), /404/);

  // Off and on again, on the same port.
  const off = await created.update({ enabled: false, listen: created.listen, upstream });
  assert.equal(off.enabled, false);
  await assert.rejects(echo(created.listen), /ECONNREFUSED/);
  const on = await created.update({ enabled: true, listen: created.listen, upstream });
  assert.deepEqual(on.toJson(), created.toJson());
  assert.equal((await echo(created.listen)).got, "hello\n");

  // Toxics of every type.
  const types = {
    bandwidth: { rate: 1000 },
    latency: { latency: 120, jitter: 0 },
    limit_data: { bytes: 1000000 },
    reset_peer: { timeout: 3600000 },
    slicer: { average_size: 3, size_variation: 1, delay: 10 },
    slow_close: { delay: 1 },
    timeout: { timeout: 0 },
  };
  for (const [type, attributes] of Object.entries(types)) {
    const toxic = await created.addToxic({ type, name: `a-${type}`, stream: "upstream", toxicity: 0.5, attributes });
    assert.deepEqual(toxic.toJson(), { type, name: `a-${type}`, stream: "upstream", toxicity: 0.5, attributes });
    assert.deepEqual((await created.getToxic(toxic.name)).toJson(), toxic.toJson());
    assert.equal(toxic.getPath(), `${created.getPath()}/toxics/a-${type}`);
    await toxic.remove();
    await assert.rejects(created.getToxic(toxic.name), /404/);
  }
  await assert.rejects(created.addToxic({ type: "none", attributes: {} }), /400/);
  await assert.rejects(created.addToxic({ type: "latency", stream: "sideways", attributes: {} }), /400/);
  await assert.rejects(created.addToxic({ type: "latency", attributes: { latency: "long" } }), /400/);

  // A toxic takes hold, changes, and is gone.
  const latency = await created.addToxic({ type: "latency", attributes: { latency: 120 } });
  assert.deepEqual(latency.toJson(), {
    type: "latency",
    name: "latency_downstream",
    stream: "downstream",
    toxicity: 1,
    attributes: { latency: 120, jitter: 0 },
  });
  await assert.rejects(created.addToxic({ type: "latency", attributes: { latency: 1 } }), /409/);
  assert.ok((await echo(created.listen)).millis >= 120);
  const changed = await latency.update({ attributes: { latency: 240 }, toxicity: 1 });
  assert.deepEqual(changed.attributes, { latency: 240, jitter: 0 });
  assert.ok((await echo(created.listen)).millis >= 240);
  await client.reset();
  await assert.rejects(created.getToxic("latency_downstream"), /404/);

  // Reset frees what is stuck, and starts what is off.
  await created.addToxic({ type: "timeout", attributes: { timeout: 0 } });
  const stuck = echo(created.listen).catch((error) => error);
  await created.update({ enabled: false, listen: created.listen, upstream });
  await client.reset();
  await stuck;
  assert.equal((await client.get("echo")).enabled, true);
  assert.equal((await echo(created.listen)).got, "hello\n");

  // Populate leaves what is as it should be, toxics included.
  await created.addToxic({ type: "slow_close", attributes: { delay: 1 } });
  const list = [
    { name: "echo", listen: "localhost:0", upstream },
    { name: "other", listen: "127.0.0.1:0", upstream, enabled: false },
  ];
  const populated = await client.populate(list);
  assert.deepEqual(Object.keys(populated), ["echo", "other"]);
  assert.equal(populated.echo.listen, created.listen);
  assert.equal(populated.other.enabled, false);
  assert.equal((await created.getToxic("slow_close_downstream")).type, "slow_close");
  const moved = await client.populate([{ name: "echo", listen: "localhost:0", upstream: "127.0.0.1:1" }]);
  assert.equal(moved.echo.upstream, "127.0.0.1:1");
  await assert.rejects(created.getToxic("slow_close_downstream"), /404/);
  await assert.rejects(client.populate([{ name: "echo" }]), /400/);

  await created.remove();
  await populated.other.remove();
  await assert.rejects(created.remove(), /404/);
  assert.deepEqual(await client.getAll(), {});

  server.close();
  assert.deepEqual(methods.filter((method) => !called.has(method)), [], "methods that were not tried");
  console.log(`${methods.length} methods`);
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
