import './app.css';
import 'uplot/dist/uPlot.min.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { Dashboard } from './dashboard.svelte';
import { Frames } from './frames';
import { replays } from './replay';
import type { Listed } from './session.svelte';

async function listSessions(): Promise<Listed[]> {
  const answer = await fetch('/v1/sessions', { headers: { Accept: 'application/json' } });
  if (!answer.ok) throw new Error(`the service answered ${answer.status}`);
  return (await answer.json()) as Listed[];
}

const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
const dashboard = new Dashboard({
  streamUrl: `${scheme}//${location.host}/v1/stream`,
  listSessions,
});
const frames = new Frames();
frames.add(() => dashboard.publish());
frames.start();
mount(App, { target: document.getElementById('page')!, props: { dashboard, frames, replays } });
