import { mount } from 'svelte';
import './base.css';
import { openBackend } from '$lib/api';
import { App as Stores } from '$lib/stores/app.svelte';
import App from './App.svelte';

declare const __MOCK__: boolean;

const app = new Stores(await openBackend());
await app.preferences.load();
if (__MOCK__) (await import('$lib/api/mock/rehearse')).rehearse(app, location.search);
const target = document.getElementById('app');
if (!target) throw new Error('the page has no place for the app');
mount(App, { target, props: { app } });
