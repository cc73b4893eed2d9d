import './embed.css';
import { streamUrl } from 'mimamba-client';
import { mount } from 'svelte';
import { AnimationLoop } from '../plots/animation_loop';
import Embed from './Embed.svelte';
import { Embedded } from './embedded.svelte';
import { readWishes } from './wishes';

const here = new URL(location.href);
const wishes = readWishes(here);
// The service is one folder above this view.
const stream = streamUrl(new URL('..', here));
const embedded = new Embedded(stream, wishes.session, wishes.token);
const animation = new AnimationLoop();
animation.addSnapshots(() => embedded.publish());
animation.start();
mount(Embed, { target: document.getElementById('view')!, props: { embedded, wishes } });
