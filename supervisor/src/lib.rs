//! Petrel's supervisor, one module a floor; each floor knows only those below it.
//!
//! From the ground: [`catalog`] (packs as data) and [`config`] (petrel.yaml), [`rules`] (events to
//! verdicts), [`core`] (all that decides), [`world`] (all that touches the outside), [`daemon`]
//! (the loop between the two) and [`cli`].

pub mod catalog;
pub mod cli;
pub mod config;
pub mod core;
pub mod daemon;
pub mod rules;
pub mod world;
