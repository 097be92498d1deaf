//! Exchanges that speak with one another over a network that loses, repeats, delays and splits.

mod hostile;
mod joining;
mod syncing;
mod world;
