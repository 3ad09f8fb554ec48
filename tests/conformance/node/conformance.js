// The event log through the Node client. Usage: node conformance.js <url>

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import {
  ANY,
  BACKWARDS,
  END,
  KurrentDBClient,
  NO_STREAM,
  START,
  STREAM_EXISTS,
  StreamDeletedError,
  StreamNotFoundError,
  WrongExpectedVersionError,
  eventTypeFilter,
  jsonEvent,
  streamNameFilter,
} from "@kurrent/kurrentdb-client";

const url = process.argv[2] ?? "kurrentdb://127.0.0.1:2113?tls=false";
// A test that takes longer has hung.
const PATIENCE_MS = 20_000;
const client = KurrentDBClient.connectionString(url);

const fresh = (prefix) => `${prefix}-${randomUUID()}`;
const event = (number, type = "said") => jsonEvent({ type, data: { number }, metadata: { by: "node" } });
const append = (stream, expectedRevision, ...events) =>
  client.appendToStream(stream, events, { streamState: expectedRevision, expectedRevision });

async function numbers(read) {
  const found = [];
  for await (const { event } of read) found.push(event.data.number);
  return found;
}

async function take(subscription, count) {
  const found = [];
  for await (const { event } of subscription) {
    found.push(event);
    if (found.length === count) break;
  }
  return found;
}

const tests = {
  async "expected revisions"() {
    const stream = fresh("node");
    await assert.rejects(append(stream, STREAM_EXISTS, event(0)), WrongExpectedVersionError);
    const first = await append(stream, NO_STREAM, event(0), event(1));
    assert.equal(first.nextExpectedRevision, 1n);
    await assert.rejects(append(stream, NO_STREAM, event(0)), WrongExpectedVersionError);
    await assert.rejects(append(stream, 0n, event(0)), WrongExpectedVersionError);
    await append(stream, 1n, event(2));
    await append(stream, ANY, event(3));
    assert.deepEqual(await numbers(client.readStream(stream)), [0, 1, 2, 3]);
  },

  async "repeats"() {
    const stream = fresh("node");
    const events = [event(0), event(1)];
    const first = await append(stream, NO_STREAM, ...events);
    const again = await append(stream, NO_STREAM, ...events);
    assert.equal(again.position.commit, first.position.commit);
    assert.deepEqual(await numbers(client.readStream(stream)), [0, 1]);
  },

  async "reads in both directions"() {
    const stream = fresh("node");
    await append(stream, NO_STREAM, ...Array.from({ length: 20 }, (_, at) => event(at)));
    assert.deepEqual(await numbers(client.readStream(stream, { fromRevision: 5n, maxCount: 3 })), [5, 6, 7]);
    const last = client.readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 2 });
    assert.deepEqual(await numbers(last), [19, 18]);
    await assert.rejects(numbers(client.readStream(fresh("never"))), StreamNotFoundError);
  },

  async "the whole log is filtered"() {
    const [stream, type] = [fresh("node"), fresh("type")];
    await append(stream, NO_STREAM, event(0, type), event(1, "other"), event(2, type));
    const filter = eventTypeFilter({ prefixes: [type] });
    assert.deepEqual(await numbers(client.readAll({ fromPosition: START, filter })), [0, 2]);
  },

  async "a stream is followed"() {
    const stream = fresh("node");
    await append(stream, NO_STREAM, event(0), event(1));
    const subscription = client.subscribeToStream(stream, { fromRevision: 0n });
    const taken = take(subscription, 2);
    await append(stream, ANY, event(2));
    assert.deepEqual((await taken).map((one) => one.data.number), [1, 2]);
    await subscription.unsubscribe();
  },

  async "the whole log is followed with a filter"() {
    const stream = fresh("node");
    let checkpoints = 0;
    const filter = streamNameFilter({
      prefixes: [stream],
      checkpointInterval: 1,
      checkpointReached: async () => { checkpoints += 1; },
    });
    const subscription = client.subscribeToAll({ fromPosition: START, filter });
    const taken = take(subscription, 3);
    for (const at of [0, 1, 2]) await append(stream, ANY, event(at));
    assert.deepEqual((await taken).map((one) => one.data.number), [0, 1, 2]);
    await subscription.unsubscribe();
    assert.ok(checkpoints > 0, "no checkpoint was reached");
  },

  async "deletes"() {
    const stream = fresh("node");
    await append(stream, NO_STREAM, event(0));
    await client.deleteStream(stream);
    await assert.rejects(numbers(client.readStream(stream)), StreamNotFoundError);
    await append(stream, ANY, event(1));
    assert.deepEqual(await numbers(client.readStream(stream)), [1]);
    await client.tombstoneStream(stream);
    await assert.rejects(numbers(client.readStream(stream)), StreamDeletedError);
    await assert.rejects(append(stream, ANY, event(2)), StreamDeletedError);
  },

  async "metadata"() {
    const stream = fresh("node");
    await append(stream, NO_STREAM, event(0), event(1), event(2));
    await client.setStreamMetadata(stream, { maxCount: 1, owner: "tally" });
    const { metadata } = await client.getStreamMetadata(stream);
    assert.equal(metadata.maxCount, 1);
    assert.equal(metadata.owner, "tally");
    assert.deepEqual(await numbers(client.readStream(stream)), [2]);
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  const timer = setTimeout(() => {
    console.error(`not ok - ${name}: no end in ${PATIENCE_MS} ms`);
    process.exit(1);
  }, PATIENCE_MS);
  try {
    await test();
    console.log(`ok - ${name}`);
  } catch (error) {
    failed += 1;
    console.error(`not ok - ${name}:`, error);
  }
  clearTimeout(timer);
}
await client.dispose();
process.exit(failed === 0 ? 0 : 1);
