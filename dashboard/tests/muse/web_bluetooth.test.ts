import { describe, expect, it } from 'vitest';
import { ControlReplies, encodeCommand } from '../../src/muse/protocol';
import { bluetoothObstacle, dialogProblem } from '../../src/muse/web_bluetooth';

const CHROME = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36';
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1';

describe('bluetoothObstacle', () => {
  it.each([
    [CHROME, false, 'https://'],
    [CHROME, true, 'chrome://flags'],
    [FIREFOX, true, 'Chrome or Edge, or in Chrome on an Android phone'],
    [IPHONE, true, 'iPhone and iPad'],
  ])('says what to use instead of %s (secure: %s)', (userAgent, isSecureContext, expected) => {
    const obstacle = bluetoothObstacle({ userAgent, isSecureContext });
    expect(obstacle).toContain(expected);
    expect(obstacle).toContain('mimamba acquire --source muse://');
  });
});

describe('dialogProblem', () => {
  it.each([
    ['NotFoundError', 'User cancelled the requestDevice() chooser.', 'No headset was chosen.'],
    ['NotFoundError', 'Bluetooth adapter not available.', 'no Bluetooth that is on'],
    ['NotFoundError', 'Web Bluetooth API globally disabled.', 'may not use Bluetooth'],
    ['NotAllowedError', '', 'may not use Bluetooth'],
    ['SecurityError', 'Must be handling a user gesture', 'press the button again'],
    ['UnknownError', 'out of cheese', 'failed (out of cheese)'],
  ])('explains %s: %s', (name, message, expected) => {
    expect(dialogProblem(new DOMException(message, name))).toContain(expected);
  });
});

describe('commands', () => {
  it('begin with their length and end with a line feed', () => {
    expect([...encodeCommand('p21')]).toEqual([4, 112, 50, 49, 10]);
  });

  it('are answered in pieces', () => {
    const replies = new ControlReplies();
    const text = '{"ap":"headset","fw":"1.2.13","bp":81.5}';
    const complete = text.match(/.{1,19}/g)!.map((piece) => {
      const data = new Uint8Array(20).fill(255);
      data.set([piece.length, ...new TextEncoder().encode(piece)]);
      return replies.feed(data);
    });
    expect(complete).toEqual([false, false, true]);
    expect([replies.firmware, replies.battery]).toEqual(['firmware 1.2.13', 81.5]);
    expect(replies.inBootloader).toBe(false);
  });
});
