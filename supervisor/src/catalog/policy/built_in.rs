//! The values that nobody wrote.

use std::time::Duration;

use super::*;

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            restart: restart(),
            start: Start {
                ready: Readiness::Auto,
                ready_timeout: seconds(60),
            },
            watchdog: watchdog(),
            stop: stop(),
            limits: limits(),
            sandbox: sandbox(),
            journal: Journal::default(),
        }
    }
}

fn restart() -> Restart {
    Restart {
        policy: RestartWhen::Always,
        initial_delay: seconds(1),
        multiplier: 2.0,
        max_delay: seconds(300),
        jitter: 0.5,
        reset_after: seconds(60),
        success_exit_codes: vec![0],
        no_restart_exit_codes: vec![78, 125],
        immediate_exit_codes: vec![75],
        limit: Limit {
            burst: 10,
            interval: seconds(600),
            on_limit: OnLimit::Cooldown,
            cooldown: seconds(900),
        },
        group: Group::OneForOne,
    }
}

fn watchdog() -> Watchdog {
    Watchdog {
        mode: WatchdogMode::Heartbeat,
        interval: seconds(10),
        soft_timeout: seconds(20),
        timeout: seconds(40),
        abort_timeout: seconds(5),
        lag_credit: true,
        poll_timeout: Duration::ZERO,
        max_rss_restart: 0,
        max_lifetime: Duration::ZERO,
    }
}

fn stop() -> Stop {
    Stop {
        request: true,
        request_timeout: seconds(5),
        signal: StopSignal::Term,
        grace: seconds(10),
        kill_timeout: seconds(5),
        drain_timeout: seconds(2),
    }
}

/// No rate, memory, process or file-size limit: they are there for who asks.
fn limits() -> Limits {
    Limits {
        line_bytes: 1 << 20,
        in_flight: 1000,
        rate: Rate {
            events_per_s: 0.0,
            burst: 5000,
            on_excess: OnExcess::Backpressure,
        },
        protocol_errors: ProtocolErrors {
            burst: 0,
            interval: seconds(60),
        },
        log: LogLimits {
            bytes_per_s: 64 << 10,
            burst: 1 << 20,
            line_bytes: 16 << 10,
        },
        memory_max: 0,
        tasks_max: 0,
        cpu: 0.0,
        nofile: 0,
        fsize: 0,
        core: 0,
        oom_score_adj: 500,
        pipe_bytes: 64 << 10,
    }
}

fn sandbox() -> Sandbox {
    Sandbox {
        profile: Profile::Standard,
        tree: Tree::Auto,
        require: Vec::new(),
        user: User::Auto,
        filesystem: Filesystem {
            private_tmp: true,
            ..Filesystem::default()
        },
        network: Network {
            mode: NetworkMode::Host,
            connect_ports: Vec::new(),
            bind: Vec::new(),
        },
        syscalls: Syscalls::Default,
        env_allow: Vec::new(),
        no_new_privs: false,
    }
}
