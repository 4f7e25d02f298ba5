// A device that asks the provisioning service by npm's azure-iot-provisioning-device, unmodified,
// which hub is its own. Its orders are one argument in JSON, behind where the packages are.
'use strict';

const [modules, argument] = process.argv.slice(1);
const of = (name) => require(`${modules}/${name}`);
const orders = JSON.parse(argument);
const { Mqtt, MqttWs } = of('azure-iot-provisioning-device-mqtt');
const { ProvisioningDeviceClient } = of('azure-iot-provisioning-device');
const { SymmetricKeySecurityClient } = of('azure-iot-security-symmetric-key');

const { X509Security } = of('azure-iot-security-x509');

const read = (name) => require('fs').readFileSync(name, 'utf8');
const security = orders.key
  ? new SymmetricKeySecurityClient(orders.registration, orders.key)
  : new X509Security(orders.registration, {
    cert: read(orders.certificate),
    key: read(orders.key_file),
  });
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
