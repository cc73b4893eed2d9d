// A p5.js sketch: the circle grows with valence, and the ring around it with alpha power.
//
//     mimamba serve --allowed-origin http://localhost:3000
//     python -m http.server 3000
//     # open http://localhost:3000/#TOKEN with the token to view
//
// While the model abstains, the circle is grey and the reason stands below it.

const SERVICE = 'ws://127.0.0.1:8765/v1/stream';
const SESSION = 'simulate-1';
const OUTPUT = 'valence';
const LABEL = 'high';

let share = null;
let alpha = 0;
let words = 'Connecting …';

function connect() {
  const socket = new WebSocket(SERVICE);
  socket.onopen = () => {
    const send = (message) => socket.send(JSON.stringify(message));
    const token = location.hash.slice(1);
    if (token) send({ type: 'auth', token });
    send({ type: 'subscribe', session: SESSION, topics: ['prediction', 'bands'] });
  };
  socket.onmessage = ({ data }) => receive(JSON.parse(data));
  socket.onclose = ({ reason }) => {
    [share, words] = [null, reason || 'The connection is lost. Trying again.'];
    setTimeout(connect, 1000);
  };
}

function receive(message) {
  if (message.type === 'prediction') {
    share = message.outputs ? message.outputs[OUTPUT][LABEL] : null;
    words = message.outputs ? `${OUTPUT}: ${LABEL} ${Math.round(100 * share)} %` : message.reason;
  } else if (message.type === 'bands') {
    const powers = Object.values(message.channels).map((channel) => channel.alpha ?? 0);
    alpha = powers.reduce((sum, power) => sum + power, 0) / powers.length;
  } else if (message.type === 'error') {
    words = message.message;
  }
}

function setup() {
  createCanvas(windowWidth, windowHeight);
  textAlign(CENTER);
  connect();
}

function draw() {
  background(16, 20, 28);
  translate(width / 2, height / 2);
  noFill();
  stroke(90, 160, 220);
  circle(0, 0, 100 + 40 * Math.log2(1 + alpha));
  noStroke();
  if (share === null) fill(110);
  else fill(lerpColor(color(60, 110, 200), color(250, 190, 60), share));
  circle(0, 0, 60 + 180 * (share ?? 0));
  fill(230);
  textSize(18);
  text(words, 0, height / 2 - 60);
  text('Not a medical device.', 0, height / 2 - 30);
}
