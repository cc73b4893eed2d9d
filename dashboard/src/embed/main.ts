import './embed.css';
import { mount } from 'svelte';
import { AnimationLoop } from '../plots/animation_loop';
import { addressOf } from '../requests/rest';
import Embed from './Embed.svelte';
import { Embedded } from './embedded.svelte';
import { readWishes } from './wishes';

const here = new URL(location.href);
const wishes = readWishes(here);
// The service is one folder above this view.
const stream = new URL(addressOf('/v1/stream'), new URL('..', here));
stream.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
const embedded = new Embedded(stream.href, wishes.session, wishes.token);
const animation = new AnimationLoop();
animation.add(() => embedded.publish());
animation.start();
mount(Embed, { target: document.getElementById('view')!, props: { embedded, wishes } });
