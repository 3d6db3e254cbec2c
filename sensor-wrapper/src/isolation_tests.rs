use super::*;

fn plan(sandbox: &Sandbox) -> Vec<Step> {
    steps(7, sandbox, &Limits::default(), &[])
}

fn strict_sandbox() -> Sandbox {
    Sandbox {
        profile: Profile::Strict,
        state: Some("/data/sensors/p.S".into()),
        read: vec!["/packs/p".into()],
        user: Some(Account {
            uid: 61_234,
            gid: 61_234,
            groups: Vec::new(),
        }),
        ..Sandbox::default()
    }
}

fn position(steps: &[Step], of: impl Fn(&Step) -> bool) -> usize {
    steps.iter().position(of).expect("it is in the plan")
}

#[test]
fn the_parent_is_checked_right_after_the_signal_is_set() {
    for sandbox in [Sandbox::default(), strict_sandbox()] {
        let all = plan(&sandbox);
        assert_eq!(all[..2], [Step::DieWithParent, Step::ParentIs(7)]);
        for (at, step) in all.iter().enumerate() {
            if *step == Step::DieWithParent {
                assert_eq!(all[at + 1], Step::ParentIs(7));
            }
        }
    }
}

#[test]
fn standard_is_a_fence_against_accidents_only() {
    let all = plan(&Sandbox::default());
    assert!(all.contains(&Step::Limit(Limit::Core, 0)));
    assert_eq!(all.len(), 5, "{all:?}");
    let off = Sandbox {
        profile: Profile::Off,
        ..Sandbox::default()
    };
    assert_eq!(plan(&off).len(), 4);
}

#[test]
fn standard_as_another_user_hides_nothing_but_opens_the_way() {
    let sandbox = Sandbox {
        profile: Profile::Standard,
        ..strict_sandbox()
    };
    let all = plan(&sandbox);
    let mounts = all.iter().find_map(|step| match step {
        Step::Mounts(mounts) => Some(mounts),
        _ => None,
    });
    let mounts = mounts.expect("it is in the plan");
    assert!(mounts.hide.is_empty() && mounts.tmp.is_none() && !mounts.shm);
    let user = position(&all, |s| matches!(s, Step::User(..)));
    assert_eq!(all[user + 1..], [Step::DieWithParent, Step::ParentIs(7)]);
}

#[test]
fn limits_that_are_asked_for_are_steps() {
    let limits = Limits {
        nofile: Some(1024),
        fsize: Some(1 << 30),
        core: Some(5),
        oom_score_adj: Some(500),
        nproc: Some(64),
    };
    let all = steps(7, &Sandbox::default(), &limits, &[9]);
    for step in [
        Step::Limit(Limit::OpenFiles, 1024),
        Step::Limit(Limit::FileSize, 1 << 30),
        Step::Limit(Limit::Core, 5),
        Step::Limit(Limit::Processes, 64),
        Step::OomScore(500),
        Step::CloseDescriptors(vec![9]),
    ] {
        assert!(all.contains(&step), "{step:?}");
    }
}

#[test]
fn strict_forbids_last_what_it_needs_itself() {
    let all = plan(&strict_sandbox());
    let order = [
        position(&all, |s| matches!(s, Step::Folders(..))),
        position(&all, |s| matches!(s, Step::Mounts(_))),
        position(&all, |s| *s == Step::NoGains),
        position(&all, |s| matches!(s, Step::User(..))),
        position(&all, |s| *s == Step::NoCapabilities),
        all.iter().rposition(|s| *s == Step::DieWithParent).unwrap(),
        position(&all, |s| *s == Step::NoNewPrivs),
        position(&all, |s| matches!(s, Step::Landlock(_))),
        position(&all, |s| matches!(s, Step::Seccomp(_))),
    ];
    assert!(order.is_sorted(), "{all:?}");
    assert_eq!(order[8], all.len() - 1);
}

#[test]
fn the_fence_has_the_pack_to_read_and_the_own_folders_to_write() {
    let fence = fence(&strict_sandbox());
    let has = |list: &[PathBuf], path: &str| list.iter().any(|one| one == path);
    assert!(has(&fence.read, "/packs/p") && has(&fence.read, "/usr"));
    assert!(has(&fence.write, "/data/sensors/p.S/home"));
    for path in [
        "/",
        "/etc",
        "/etc/shadow",
        "/root",
        "/proc",
        "/dev",
        "/tmp",
        "/data",
    ] {
        assert!(
            !has(&fence.read, path) && !has(&fence.write, path),
            "{path}"
        );
    }
    assert!(fence.connect.is_none() && fence.bind.is_none());
}

#[test]
fn no_network_is_no_port_at_all() {
    let sandbox = Sandbox {
        no_network: true,
        connect_ports: Some(vec![443]),
        ..strict_sandbox()
    };
    let fence = fence(&sandbox);
    assert_eq!((fence.connect, fence.bind), (Some(vec![]), Some(vec![])));
    let refused = |calls| {
        let network = true;
        Step::Seccomp(Refused { calls, network })
    };
    assert!(plan(&sandbox).contains(&refused(true)));
    let sandbox = Sandbox {
        all_syscalls: true,
        ..sandbox
    };
    assert!(plan(&sandbox).contains(&refused(false)));
}

const SECRETS: [&str; 5] = [
    "PETREL_API_KEY",
    "PETREL_API_KEYS_FILE",
    "PETREL_DATASTORE_KEY",
    "PETREL_X_TOKEN",
    "PETREL_X_SECRET",
];
const LOADER: [&str; 2] = ["LD_PRELOAD", "LD_LIBRARY_PATH"];
const PLAIN: [&str; 4] = ["LANG", "LC_ALL", "PETREL_SENSOR", "PETREL_PROTOCOL"];
const OTHERS: [&str; 6] = [
    "PATH",
    "PETREL_IDEMPOTENCY_KEY",
    "ST2_AUTH_TOKEN",
    "MY_KEY",
    "OLD_X",
    "SSH_AUTH_SOCK",
];

#[test]
fn each_profile_passes_on_less_than_the_one_before() {
    let all = [&SECRETS[..], &LOADER, &PLAIN, &OTHERS].concat();
    let gone =
        |sandbox: &Sandbox| -> Vec<OsString> { scrubbed(all.iter().map(OsString::from), sandbox) };
    let off = Sandbox {
        profile: Profile::Off,
        ..Sandbox::default()
    };
    assert_eq!(gone(&off), SECRETS.map(OsString::from));
    let standard = [&SECRETS[..], &LOADER].concat();
    assert_eq!(gone(&Sandbox::default()), standard);
    let strict = [&SECRETS[..], &LOADER, &OTHERS].concat();
    assert_eq!(gone(&strict_sandbox()), strict);
    let allowed = Sandbox {
        env_allow: vec!["MY_KEY".into(), "PETREL_API_KEY".into()],
        ..strict_sandbox()
    };
    assert!(!gone(&allowed).contains(&"MY_KEY".into()));
    assert!(gone(&allowed).contains(&"PETREL_API_KEY".into()));
}
