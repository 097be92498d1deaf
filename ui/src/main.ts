import { mount } from 'svelte';
import './base.css';
import { openBackend } from '$lib/api';
import { App as Stores } from '$lib/stores/app.svelte';
import { isView } from '$lib/stores/navigation.svelte';
import App from './App.svelte';

const backend = await openBackend();
const app = new Stores(backend);
await app.preferences.load();
const view = new URLSearchParams(location.search).get('view');
if (view !== null && isView(view)) app.navigation.go(view);
const target = document.getElementById('app');
if (!target) throw new Error('the page has no place for the app');
mount(App, { target, props: { app } });
