import './styles/page.css';
import './styles/forms.css';
import 'uplot/dist/uPlot.min.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { listSessions, logIn, logOut } from './requests/login';
import { Dashboard } from './state/dashboard.svelte';
import { Frames } from './plots/animation_loop';
import { recordings } from './requests/recordings';
import { offers } from './requests/catalog';
import { replays } from './requests/replay';
import { steering } from './requests/sessions';

const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
const dashboard = new Dashboard({
  streamUrl: `${scheme}//${location.host}/v1/stream`,
  listSessions,
  logIn,
  logOut,
});
const frames = new Frames();
frames.add(() => dashboard.publish());
frames.start();
mount(App, {
  target: document.getElementById('page')!,
  props: { dashboard, frames, replays, recordings, offers, steering },
});
