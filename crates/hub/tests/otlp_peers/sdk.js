// Logs with OpenTelemetry's SDK: sdk.js ENCODING PACKING BURST.
'use strict';
const { createRequire } = require('module');

const fs = require('fs');
const packages = createRequire(process.env.OUTGATE_PEERS + '/node/package.json');
const { LoggerProvider, BatchLogRecordProcessor } = packages('@opentelemetry/sdk-logs');
const { resourceFromAttributes } = packages('@opentelemetry/resources');
const [encoding, packing, burst] = process.argv.slice(2);
const { OTLPLogExporter } = packages(
  encoding === 'json' ? '@opentelemetry/exporter-logs-otlp-http' : '@opentelemetry/exporter-logs-otlp-proto',
);

const exporter = new OTLPLogExporter({
  url: `https://localhost:${process.env.OUTGATE_PORT}/v1/logs`,
  headers: { authorization: `Bearer ${process.env.OUTGATE_TOKEN}` },
  compression: packing,
  timeoutMillis: 30_000,
  httpAgentOptions: { ca: fs.readFileSync(process.env.OUTGATE_AUTHORITY) },
});
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ 'service.name': 'till' }),
  processors: [new BatchLogRecordProcessor({
    exporter, maxQueueSize: 20_000, maxExportBatchSize: 6_000, exportTimeoutMillis: 60_000,
  })],
});
const logger = provider.getLogger('printing', '1.2');
const say = (severityNumber, severityText, body, attributes = {}) => {
  const now = Date.now();
  logger.emit({ severityNumber, severityText, body, attributes, timestamp: now, observedTimestamp: now });
};

for (let number = 0; number < Number(burst); number++) say(9, 'INFO', `burst ${number}`);
say(17, 'ERROR', 'no paper, Ärger', {
  tries: 3, ratio: 0.5, open: true, list: ['a', 'b'], large: Number.MAX_SAFE_INTEGER,
});
say(9, 'INFO', { n: { deep: 1 } });
provider.forceFlush().then(() => provider.shutdown()).then(
  () => console.log('flushed'),
  error => { console.error(error); process.exitCode = 1; },
);
