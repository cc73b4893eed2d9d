// A stand-in for navigator.bluetooth, put into the page before its own scripts.
//
// It does what the specification says (webbluetoothcg.github.io/web-bluetooth), and what Chrome does:
// the dialog needs a click, one GATT operation at a time, notifications only after they were asked
// for, an event when the device disconnects. The device does what a Muse does by the sources that
// drivers/muse/protocol.py names. `window.standIn` is set by the test before this is run.
(() => {
  const wanted = window.standIn;
  const log = { commands: [], connections: 0, sent: 0, filters: null };
  window.muse = log;
  const bytes = (base64) =>
    Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const fail = (name, message) =>
    Promise.reject(new DOMException(message, name));

  let busy = false;
  /** One GATT operation, which takes a moment. */
  async function operate(device, work) {
    if (!device.gatt.connected)
      return fail(
        "NetworkError",
        "GATT Server is disconnected. Cannot perform GATT operations.",
      );
    if (busy)
      return fail("NetworkError", "GATT operation already in progress.");
    busy = true;
    await new Promise((resolve) => setTimeout(resolve, 2));
    busy = false;
    return work();
  }

  class Characteristic extends EventTarget {
    constructor(device, uuid) {
      super();
      Object.assign(this, { device, uuid, value: null, notifying: false });
    }
    startNotifications() {
      return operate(this.device, () => {
        if (this.uuid === wanted.mute)
          throw new DOMException("GATT Error", "NotSupportedError");
        this.notifying = true;
        return this;
      });
    }
    writeValueWithoutResponse(value) {
      const data = new Uint8Array(value.buffer ?? value);
      return operate(this.device, () => {
        if (data[0] !== data.length - 1 || data.at(-1) !== 10)
          throw new Error("not a command");
        this.device.obey(new TextDecoder().decode(data.subarray(1, -1)));
      });
    }
    notify(data) {
      if (!this.notifying) return;
      this.value = new DataView(data.buffer, data.byteOffset, data.byteLength);
      this.dispatchEvent(new Event("characteristicvaluechanged"));
    }
  }

  class Device extends EventTarget {
    id = "an id of this page";
    name = wanted.name;
    playing = null;
    position = 0;
    characteristics = [];
    constructor() {
      super();
      this.gatt = {
        connected: false,
        connect: () => this.connect(),
        disconnect: () => this.leave(false),
        getPrimaryService: (uuid) =>
          operate(this, () => ({
            uuid,
            getCharacteristics: () => operate(this, () => this.characteristics),
          })),
      };
    }
    async connect() {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (wanted.refusal) return fail(...wanted.refusal);
      log.connections += 1;
      this.characteristics = wanted.characteristics.map(
        (uuid) => new Characteristic(this, uuid),
      );
      this.gatt.connected = true;
      return this.gatt;
    }
    leave(tell) {
      clearInterval(this.playing);
      this.playing = null;
      if (!this.gatt.connected) return;
      this.gatt.connected = false;
      if (tell)
        setTimeout(() =>
          this.dispatchEvent(new Event("gattserverdisconnected")),
        );
    }
    obey(command) {
      log.commands.push(command);
      if (command === "d" || command === "dc001") this.play();
      if (command === "h") clearInterval(this.playing);
      const facts = { rc: 0 };
      if (command.startsWith("v"))
        Object.assign(facts, { ap: wanted.part, fw: "1.2.13" });
      if (command === "s") Object.assign(facts, { hn: this.name, bp: 81.5 });
      const text = JSON.stringify(facts);
      for (let start = 0; start < text.length; start += 19) {
        const piece = new TextEncoder().encode(text.slice(start, start + 19));
        const data = new Uint8Array(20).fill(255);
        data.set([piece.length, ...piece]);
        this.characteristics[0].notify(data);
      }
      if (command === "*1") this.leave(true);
    }
    /** Send the notifications at their times; after a reconnection, those that are due then. */
    play() {
      if (this.playing !== null || !wanted.notifications.length) return;
      this.began ??= performance.now() / 1000;
      const due = () => performance.now() / 1000 - this.began;
      while (this.position && this.at(this.position) < due())
        this.position += 1;
      this.playing = setInterval(() => {
        while (this.at(this.position) <= due() && this.gatt.connected)
          this.send();
      }, 10);
    }
    at(position) {
      return wanted.notifications[position]?.[0] ?? Infinity;
    }
    send() {
      const [, uuid, data] = wanted.notifications[this.position++];
      log.sent += 1;
      this.characteristics
        .find((each) => each.uuid === uuid)
        ?.notify(bytes(data));
    }
  }

  const device = new Device();
  log.drop = () => device.leave(true);
  log.fallSilent = () => clearInterval(device.playing);
  const bluetooth = {
    getAvailability: async () => wanted.available,
    requestDevice: async ({ filters }) => {
      if (!navigator.userActivation.isActive)
        return fail(
          "SecurityError",
          "Must be handling a user gesture to show a permission request.",
        );
      log.filters = filters;
      return wanted.dialog ? fail(...wanted.dialog) : device;
    },
  };
  Object.defineProperty(Navigator.prototype, "bluetooth", {
    get: () => (wanted.supported ? bluetooth : undefined),
    configurable: true,
  });
})();
