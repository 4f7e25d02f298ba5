// A device that asks the provisioning service by npm's azure-iot-provisioning-device, unmodified,
// which hub is its own. Its orders are one argument in JSON, behind where the packages are.
'use strict';

const [modules, argument] = process.argv.slice(1);
const of = (name) => require(`${modules}/${name}`);
const orders = JSON.parse(argument);
const { Mqtt, MqttWs } = of('azure-iot-provisioning-device-mqtt');
const { ProvisioningDeviceClient } = of('azure-iot-provisioning-device');
const { SymmetricKeySecurityClient } = of('azure-iot-security-symmetric-key');

const security = new SymmetricKeySecurityClient(orders.registration, orders.key);
const transport = orders.websockets ? new MqttWs() : new Mqtt();
const client = ProvisioningDeviceClient.create(orders.host, orders.scope, transport, security);
client.setProvisioningPayload(orders.payload || {});
client.register((error, result) => {
  const told = error
    ? { error: error.name }
    : { status: result.status, hub: result.assignedHub, device: result.deviceId };
  console.log(JSON.stringify(told));
  process.exit(0);
});
