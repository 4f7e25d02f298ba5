"""What AWS's SDK has for its services over MQTT: shadows, jobs, fleet provisioning."""

import importlib

services = {}


def service(how):
    """The SDK's client for a service, one for each and each version."""
    from awscrt.mqtt_request_response import ClientOptions

    module = importlib.import_module("awsiot." + how["of"])
    name = {"iotshadow": "IotShadowClient", "iotjobs": "IotJobsClient", "iotidentity": "IotIdentityClient"}[how["of"]]
    if how.get("old"):
        make = lambda: getattr(module, name)(connection())
    else:
        options = ClientOptions(
            max_request_response_subscriptions=10,
            max_streaming_subscriptions=10,
            operation_timeout_in_seconds=PATIENCE,
        )
        make = lambda: getattr(module, name + "V2")(connection(), options)
    key = (name, bool(how.get("old")))
    if key not in services:
        services[key] = make()
    return module, services[key]


def connection():
    return client.client if isinstance(client, New) else client.connection


def requested(module, name, members):
    """A request of the SDK's, with the state of a shadow as the SDK has it."""
    members = dict(members)
    if "state" in members:
        state = members["state"]
        members["state"] = module.ShadowState(
            **state, **{kind + "_is_nullable": True for kind in state if state[kind] is None}
        )
    return getattr(module, name)(**members)


def plain(modeled):
    """What the SDK has read, as JSON has it; what is not there is left out."""
    if hasattr(modeled, "__slots__") and not isinstance(modeled, (str, bytes)):
        members = {name: plain(getattr(modeled, name, None)) for name in modeled.__slots__}
        return {
            name: value for name, value in members.items() if value is not None and "is_nullable" not in name
        }
    if isinstance(modeled, dict):
        return {name: plain(value) for name, value in modeled.items()}
    if isinstance(modeled, list):
        return [plain(value) for value in modeled]
    if hasattr(modeled, "timestamp"):
        return modeled.timestamp()
    return modeled


def camel(name):
    return "".join(part.capitalize() for part in name.split("_"))


def served(how):
    """What comes of something that a service of the second version is asked."""
    from awsiot import V2ServiceException

    module, asked = service(how)
    request = requested(module, camel(how["call"]) + "Request", how["request"])
    try:
        return plain(getattr(asked, how["call"])(request).result(PATIENCE))
    except V2ServiceException as failure:
        if failure.modeled_error is None:
            raise failure.inner_error
        return {"rejected": plain(failure.modeled_error)}


streams = []


def streamed(how):
    """Listens to what a service of the second version tells of its own accord."""
    from awsiot import ServiceStreamOptions

    module, asked = service(how)
    request = requested(module, how["request_of"], how["request"])
    established = Future()
    options = ServiceStreamOptions(
        incoming_event_listener=lambda event: say(how["call"], plain(event)),
        subscription_status_listener=lambda event: established.done() or established.set_result(event),
        deserialization_failure_listener=lambda failure: say(how["call"], str(failure.inner_error)),
    )
    stream = getattr(asked, "create_" + how["call"] + "_stream")(request, options)
    stream.open()
    # Else it is closed.
    streams.append(stream)
    return int(established.result(PATIENCE).type)


def listened(how):
    """Listens to what a service of the first version says."""
    module, asked = service(how | {"old": True})
    request = requested(module, how["request_of"], how["request"])
    function = getattr(asked, "subscribe_to_" + how["call"])
    done, _ = function(request, mqtt.QoS(1), lambda event: say(how["call"], plain(event)))
    return int(done.result(PATIENCE))


def asked_once(how):
    """Asks a service of the first version for something."""
    module, asked = service(how | {"old": True})
    request = requested(module, camel(how["call"]) + "Request", how["request"])
    getattr(asked, "publish_" + how["call"])(request, mqtt.QoS(1)).result(PATIENCE)
    return "published"


