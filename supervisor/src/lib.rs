//! Petrel's supervisor, one module a floor; each floor knows only those below it.
//!
//! From the ground: [`catalog`] (packs and policies as data), [`rules`] (events to verdicts),
//! [`core`] (all that decides), [`world`] (all that touches the outside), [`daemon`] (the loop
//! between the two) and [`cli`].

pub mod catalog;
pub mod config;
pub mod rules;
pub mod world;
