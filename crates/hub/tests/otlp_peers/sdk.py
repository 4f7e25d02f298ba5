"""Logs with OpenTelemetry's SDK: sdk.py ENCODING PACKING BURST."""

import os
import sys
import time

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

encoding, packing, burst = sys.argv[1], sys.argv[2], int(sys.argv[3])
if encoding == "json":
    from opentelemetry.exporter.otlp.common.http import Compression
    from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

exporter = OTLPLogExporter(
    endpoint=f"https://localhost:{os.environ['OUTGATE_PORT']}/v1/logs",
    certificate_file=os.environ["OUTGATE_AUTHORITY"],
    headers={"authorization": f"Bearer {os.environ['OUTGATE_TOKEN']}"},
    compression=Compression(packing),
    timeout=30,
)
provider = LoggerProvider(resource=Resource({"service.name": "till"}))
provider.add_log_record_processor(
    BatchLogRecordProcessor(exporter, max_queue_size=20_000, max_export_batch_size=6_000)
)
logger = provider.get_logger("printing", "1.2")


def say(severity, body, attributes=None):
    now = time.time_ns()
    logger.emit(
        LogRecord(
            timestamp=now,
            observed_timestamp=now,
            severity_number=severity,
            severity_text=severity.name,
            body=body,
            attributes=attributes or {},
        )
    )


for number in range(burst):
    say(SeverityNumber.INFO, f"burst {number}")
say(
    SeverityNumber.ERROR,
    "no paper, Ärger",
    {"tries": 3, "ratio": 0.5, "open": True, "list": ["a", "b"], "large": 9007199254740991},
)
say(SeverityNumber.INFO, {"n": {"deep": 1}})
if provider.force_flush(60_000):
    print("flushed")
provider.shutdown()
