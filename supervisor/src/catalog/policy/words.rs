//! The choices among the knobs.

/// A knob that is one word of a few.
pub trait Word: Copy + PartialEq + Sized + 'static {
    /// Every choice with its word, the built-in one not necessarily first.
    const ALL: &'static [(&'static str, Self)];

    /// How this choice is written.
    fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, choice)| *choice == self);
        found.map_or("", |(word, _)| word)
    }
}

/// Declares an enumeration whose choices have words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$one:meta])* $choice:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$one])* $choice,)+
        }

        impl $crate::catalog::policy::Word for $name {
            const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$choice),)+];
        }
    };
}
pub(super) use words;

words! {
    /// When a sensor that ended is started again.
    RestartWhen {
        /// After every end, planned or not.
        Always = "always",
        /// After a signal, or an exit code that is no success.
        OnFailure = "on-failure",
        /// After a signal, or when it was ended by us (watchdog, start timeout).
        OnAbnormal = "on-abnormal",
        /// Never by itself.
        Never = "never",
    }
}

words! {
    /// When an event counts as accepted.
    #[derive(Default)]
    Durability {
        #[default]
        /// When it is on the disk: it survives a loss of power.
        Disk = "disk",
        /// When it is written, and not synced: it survives a kill of everything, not a loss of power.
        Process = "process",
        /// When it is read. It is written like `process`, and nobody waits for that.
        None = "none",
    }
}

words! {
    /// What the journal has of the events of a trigger type that sensors say.
    #[derive(Default)]
    Keep {
        #[default]
        /// Every event.
        All = "all",
        /// Those that a rule matched, or failed on; of the others their number.
        Matched = "matched",
        /// Their number, and those to which executions belong.
        Counters = "counters",
    }
}

words! {
    /// What happens when a sensor used up its restarts.
    OnLimit {
        /// Wait for the cooldown, then try one start per cooldown, for ever.
        Cooldown = "cooldown",
        /// Stay down until a person starts it.
        Park = "park",
        /// Stop the supervisor, with exit code 3, for whoever supervises it.
        Escalate = "escalate",
    }
}

words! {
    /// Which sensors of a pack share a crash.
    Group {
        /// Only the one that crashed is restarted.
        OneForOne = "one_for_one",
        /// Those after it in the order of their references are restarted too.
        RestForOne = "rest_for_one",
        /// All of the pack are.
        OneForAll = "one_for_all",
    }
}

words! {
    /// How a sensor is known to be ready.
    Readiness {
        /// When the program runs, or, once it said `hello`, when it says `ready`.
        Auto = "auto",
        /// When it says `ready`, and within `ready_timeout` also where it never said `hello`.
        Hello = "hello",
        /// When it writes a newline to its descriptor 3, whatever else it says.
        Descriptor = "fd:3",
        /// When the program runs, whatever it says.
        None = "none",
    }
}

words! {
    /// Whether the watchdog looks at heartbeats.
    WatchdogMode {
        /// Of sensors that announce them.
        Heartbeat = "heartbeat",
        /// Never.
        Off = "off",
    }
}

words! {
    /// The signal by which a program is told to end.
    StopSignal {
        /// SIGTERM.
        Term = "TERM",
        /// SIGINT.
        Int = "INT",
        /// SIGHUP.
        Hup = "HUP",
        /// SIGQUIT.
        Quit = "QUIT",
        /// SIGUSR1.
        Usr1 = "USR1",
        /// SIGUSR2.
        Usr2 = "USR2",
    }
}
