// A client of the exchange in another language, from the .proto files alone: it
// publishes protobuf-JSON, proves its entry from the ledger's public key,
// queries, and receives a subscription with acknowledgements.
//
//   node client.mjs ADDRESS PROTO-DIRECTORY CERTIFICATE-DIRECTORY
//
// The certificate directory holds ca.pem, and certificate and key of the systems
// registry and hall.
import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const [address, protos, certificates] = process.argv.slice(2);
const { huitong } = grpc.loadPackageDefinition(loader.loadSync(
  ['huitong/exchange/v1/exchange_service.proto', 'huitong/ledger/v1/ledger_service.proto', 'huitong/catalogue/v1/catalogue_service.proto'],
  { includeDirs: [protos], keepCase: true, longs: String, enums: String, oneofs: true, defaults: true },
));

// connect gives the calls of one system, as promises.
function connect(system) {
  const read = (name) => readFileSync(join(certificates, name));
  const credentials = grpc.credentials.createSsl(read('ca.pem'), read(`${system}.key`), read(`${system}.pem`));
  const exchange = new huitong.exchange.v1.ExchangeService(address, credentials);
  const ledger = new huitong.ledger.v1.LedgerService(address, credentials);
  const catalogue = new huitong.catalogue.v1.CatalogueService(address, credentials);
  const call = (service) => (method, request) => new Promise((resolve, reject) => {
    service[method](request, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
  return {
    exchange: call(exchange), ledger: call(ledger), catalogue: call(catalogue), subscribe: () => exchange.Subscribe(),
    close: () => [exchange, ledger, catalogue].forEach((c) => c.close()),
  };
}

const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash('sha256')).digest();

// openCheckpoint checks the signature of a C2SP checkpoint by a C2SP verifier
// key, "<name>+<id>+<base64 of 0x01 and an Ed25519 key>".
function openCheckpoint(signed, key) {
  const at = signed.indexOf('\n\n');
  const text = signed.slice(0, at + 1);
  const [name, , ...rest] = key.split('+');
  const raw = Buffer.from(rest.join('+'), 'base64');
  assert.equal(raw[0], 1);
  const id = sha256(`${name}\n`, raw).subarray(0, 4);
  const publicKey = createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: raw.subarray(1).toString('base64url') } });
  const line = signed.slice(at + 2).split('\n').find((l) => l.startsWith(`— ${name} `));
  const signature = Buffer.from(line.split(' ')[2], 'base64');
  assert.deepEqual(signature.subarray(0, 4), id);
  assert.ok(verify(null, Buffer.from(text), publicKey, signature.subarray(4)), 'the checkpoint is not signed by the ledger');
  const [origin, size, root] = text.split('\n');
  assert.equal(origin, name);
  return { size: BigInt(size), root: Buffer.from(root, 'base64') };
}

// rootOf computes the root from a leaf and its audit path (RFC 9162, section
// 2.1.3.2).
function rootOf(index, size, leaf, path) {
  let [fn, sn, hash] = [index, size - 1n, sha256(Buffer.of(0), leaf)];
  for (const p of path) {
    assert.ok(sn > 0n);
    if (fn % 2n === 1n || fn === sn) {
      hash = sha256(Buffer.of(1), p, hash);
      while (fn % 2n === 0n && fn > 0n) [fn, sn] = [fn / 2n, sn / 2n];
    } else {
      hash = sha256(Buffer.of(1), hash, p);
    }
    [fn, sn] = [fn / 2n, sn / 2n];
  }
  assert.equal(sn, 0n);
  return hash;
}

async function prove(system, receipt, key) {
  const proof = await system.ledger('GetInclusionProof', { index: receipt.index, leaf_hash: sha256(Buffer.of(0), receipt.leaf) });
  const checkpoint = openCheckpoint(proof.checkpoint, key);
  assert.deepEqual(rootOf(BigInt(receipt.index), checkpoint.size, receipt.leaf, proof.hashes), checkpoint.root);
  return checkpoint.size;
}

const marriage = (number, name) => JSON.stringify({
  certificate_number: `J999999-2026-${number}`, state: 'MARRIAGE_STATE_MARRIED',
  party_a_type: '111', party_a_number: '999999199001010016', party_a_name: name,
  party_b_type: '111', party_b_number: '999999198506150028', party_b_name: '李秀英',
  registered_date: '2026-05-20', registrar_code: '11999900MB00000278', registrar_name: '示范市民政局',
});

// receive opens a subscription, acknowledges until so many records are settled,
// and gives them.
function receive(system, name, count) {
  return new Promise((resolve, reject) => {
    const stream = system.subscribe();
    const records = [];
    stream.on('error', reject);
    stream.on('end', () => resolve(records));
    stream.on('data', (answer) => {
      if (answer.batch) {
        const acks = answer.batch.deliveries.map((d) => d.sequence);
        records.push(...answer.batch.deliveries.map((d) => d.record));
        stream.write({ settle: { acks, token: acks[0] } });
      }
      if (answer.settled) {
        assert.deepEqual(answer.settled.unknown, []);
        if (records.length >= count) stream.write({ drain: {} });
      }
    });
    stream.write({ open: { subscription: name, json: true } });
  });
}

const registry = connect('registry');
const hall = connect('hall');

const { ledger_key: key } = await registry.catalogue('GetCaller', {});
const published = await registry.exchange('Publish', {
  records: [
    { topic: 'marriage', json: marriage('000101', '欧阳伟') },
    { topic: 'marriage', json: marriage('000102', '张伟').replace('999999199001010016', '999999199001010017') },
    { topic: 'marriage', json: marriage('000103', '𠮷田·阿依古丽') },
  ],
});
const [first, refused, third] = published.results;
assert.equal(refused.problem.rule, 'identifier.resident_id');
assert.equal(refused.problem.violations[0].field, 'party_a_number');
for (const result of [first, third]) {
  const size = await prove(registry, result.receipt, key);
  console.log(`published entry ${result.receipt.index}, proven in a ledger of ${size} entries`);
}

const acting = { person: 'clerk-017', purpose: '000115004000', case_number: 'SF-2026-000042' };
const answer = await hall.exchange('Query', {
  topic: 'marriage', json: true, subject: { type: '111', number: '999999198506150028' },
  acting,
});
const names = answer.records.map((r) => JSON.parse(r.json).party_a_name);
assert.ok(names.includes('欧阳伟') && names.includes('𠮷田·阿依古丽'), names.join());
assert.ok(answer.records.every((r) => r.withheld.includes(7)), 'the spouse\'s number is withheld');
await prove(hall, answer.release, key);
console.log(`queried ${answer.records.length} records; entry ${answer.release.index} says so`);

await hall.exchange('CreateSubscription', { subscription: { name: 'interop', topic: 'marriage', start: { current: true } } });
const received = await receive(hall, 'interop', answer.records.length);
assert.equal(received.length, answer.records.length);
const { subscription } = await hall.exchange('GetSubscription', { id: 'interop' });
assert.equal(subscription.pending, '0');
console.log(`received and acknowledged ${received.length} records`);

await assert.rejects(
  hall.exchange('Query', { topic: 'nothing', key: 'any', acting }),
  (error) => error.code === grpc.status.NOT_FOUND,
);
registry.close();
hall.close();
