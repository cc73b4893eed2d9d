// @vitest-environment happy-dom
import { afterEach, describe, expect, it, vi } from 'vitest';
import Header from '../../src/components/page/Header.svelte';
import Login from '../../src/components/page/Login.svelte';
import { click, enter, find, render, settled, text, there } from '../dom';

describe('Login', () => {
  it('sends the token, and shows the error of the service', async () => {
    const logIn = vi.fn(() => Promise.reject(new Error('token not accepted')));
    render(Login, { why: 'your login has ended', logIn, tryAgain: null });
    expect(text('login-problem')).toBe('Your login has ended.');
    enter('token', ' a token ');
    document.querySelector('form')?.dispatchEvent(new SubmitEvent('submit', { cancelable: true }));
    await settled();
    expect(text('login-problem')).toBe('Token not accepted.');
    expect(logIn).toHaveBeenCalledExactlyOnceWith('a token');
    expect(find<HTMLInputElement>('token').value).toBe('');
  });

  it('shows no error at first', () => {
    render(Login, { why: '', logIn: () => Promise.resolve(), tryAgain: null });
    expect([there('login-problem'), there('try-again')]).toEqual([false, false]);
  });

  it('sends a code again that got no response', async () => {
    const tryAgain = vi.fn();
    render(Login, { why: 'no network', logIn: () => Promise.resolve(), tryAgain });
    await click('try-again');
    expect(tryAgain).toHaveBeenCalledOnce();
  });
});

describe('Header', () => {
  it('counts down to the next attempt and gives the reason', () => {
    const why = 'the service stopped responding';
    const connection = { phase: 'waiting', until: 14.2, why } as const;
    render(Header, { connection, time: 12, logOut: null });
    expect(text('connection')).toBe(`○ Reconnecting in 3 s: ${why}`);
    expect(document.body.textContent).toContain('Not a medical device.');
  });

  const connection = { phase: 'connected' } as const;
  const page = document.documentElement;
  afterEach(() => {
    Reflect.deleteProperty(document, 'fullscreenEnabled');
    Reflect.deleteProperty(page, 'requestFullscreen');
  });

  it('says that the browser refuses full screen, and keeps the focus on the button', async () => {
    Object.defineProperty(document, 'fullscreenEnabled', { value: true, configurable: true });
    page.requestFullscreen = () => Promise.reject(new TypeError('not granted'));
    render(Header, { connection, time: 0, logOut: null });
    find('page-full-screen').focus();
    await click('page-full-screen');
    expect(text('page-full-screen-problem')).toContain('The browser allows no full screen here.');
    expect(document.activeElement).toBe(find('page-full-screen'));
  });

  it('offers no full screen where there is none', () => {
    render(Header, { connection, time: 0, logOut: null });
    expect(there('page-full-screen')).toBe(false);
  });

  it('logs out', async () => {
    const logOut = vi.fn();
    render(Header, { connection, time: 0, logOut: () => void logOut() });
    await click('log-out');
    expect(logOut).toHaveBeenCalledOnce();
  });
});
