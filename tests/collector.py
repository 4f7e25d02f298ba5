"""Collects traces and logs as OpenTelemetry's own messages have them, and prints a line of JSON a
span, and a record.

collector.py [STATUS[:SECONDS]]...: the first requests with logs are answered with these, and with
`Retry-After`. The first line is the port.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


refusals = [each.partition(":") for each in sys.argv[1:]]


def said(value):
    """What a value says."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [said(each) for each in value.array_value.values]
    if kind == "kvlist_value":
        return plain(value.kvlist_value.values)
    return getattr(value, kind) if kind else None


def plain(attributes):
    """Attributes as a dictionary of what they say."""
    return {each.key: said(each.value) for each in attributes}


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.headers["content-type"] == "application/x-protobuf"
        if self.path == "/v1/logs":
            return self.logs(body)
        assert self.path == "/v1/traces", self.path
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = plain(of_resource.resource.attributes)["service.name"]
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    took = span.end_time_unix_nano - span.start_time_unix_nano
                    told = {
                        "service": service,
                        "name": span.name,
                        "kind": span.kind,
                        "trace": span.trace_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "took": took,
                        "attributes": plain(span.attributes),
                        "events": [event.name for event in span.events],
                    }
                    print(json.dumps(told), flush=True)
        self.answer(ExportTraceServiceResponse())

    def logs(self, body):
        if refusals:
            status, _, seconds = refusals.pop(0)
            print(json.dumps({"refused": int(status)}), flush=True)
            self.send_response(int(status))
            if seconds:
                self.send_header("retry-after", seconds)
            self.send_header("content-length", "0")
            return self.end_headers()
        for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs:
            for of_scope in of_resource.scope_logs:
                for record in of_scope.log_records:
                    told = {
                        "resource": plain(of_resource.resource.attributes),
                        "scope": [of_scope.scope.name, of_scope.scope.version],
                        "severity": record.severity_number,
                        "text": record.severity_text,
                        "body": said(record.body),
                        "attributes": plain(record.attributes),
                        "dated": record.time_unix_nano > 0 and record.observed_time_unix_nano > 0,
                        "key": self.headers["x-key"],
                    }
                    print(json.dumps(told), flush=True)
        self.answer(ExportLogsServiceResponse())

    def answer(self, message):
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.end_headers()
        self.wfile.write(message.SerializeToString())

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Collector)
print(server.server_port, flush=True)
server.serve_forever()
