//! A user of its own for each pack, and users by name.
//!
//! The numbers are those that systemd keeps for users that live as long as a service does; no
//! account of a person or a package has one. A pack keeps its number: its files bear it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sensor_wrapper::sandbox::Account;

/// The file in the data folder: number by pack.
const FILE: &str = "users.json";

const FIRST: u32 = 61_184;
const LAST: u32 = 65_519;

/// The numbers that were given out.
#[derive(Debug, Default)]
pub struct Users {
    file: PathBuf,
    given: BTreeMap<String, u32>,
}

impl Users {
    /// Those of a data folder.
    pub fn read(data: &Path) -> Self {
        let file = data.join(FILE);
        let text = fs::read(&file).unwrap_or_default();
        let given = serde_json::from_slice(&text).unwrap_or_default();
        Self { file, given }
    }

    /// The user of a pack.
    ///
    /// # Errors
    /// When there is no free number, or it cannot be kept.
    pub fn of_pack(&mut self, pack: &str) -> anyhow::Result<Account> {
        let uid = match self.given.get(pack) {
            Some(uid) => *uid,
            None => self.give(pack)?,
        };
        Ok(Account {
            uid,
            gid: uid,
            groups: Vec::new(),
        })
    }

    fn give(&mut self, pack: &str) -> anyhow::Result<u32> {
        let hash = blake3::hash(pack.as_bytes());
        let bytes = hash.as_bytes();
        let start = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let known = numbers(&fs::read_to_string("/etc/passwd").unwrap_or_default());
        let count = LAST - FIRST + 1;
        let taken = |uid: &u32| known.contains(uid) || self.given.values().any(|one| one == uid);
        let mut all = (0..count).map(|step| FIRST + (start % count + step) % count);
        let uid = all.find(|uid| !taken(uid));
        let uid = uid.ok_or_else(|| anyhow::anyhow!("no number for a user is left"))?;
        self.given.insert(pack.to_owned(), uid);
        fs::write(&self.file, serde_json::to_vec(&self.given)?)?;
        Ok(uid)
    }
}

fn numbers(passwd: &str) -> Vec<u32> {
    let fields = passwd.lines().filter_map(|line| line.split(':').nth(2));
    fields.filter_map(|uid| uid.parse().ok()).collect()
}

/// A user of the system by name or number, with its groups, its name and its home.
///
/// # Errors
/// When there is none.
pub fn named(user: &str) -> anyhow::Result<(Account, Vec<(String, String)>)> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let (passwd, groups) = (read("/etc/passwd"), read("/etc/group"));
    find(user, &passwd, &groups)
        .ok_or_else(|| anyhow::anyhow!("sandbox.user: there is no user \"{user}\" in /etc/passwd"))
}

fn find(user: &str, passwd: &str, groups: &str) -> Option<(Account, Vec<(String, String)>)> {
    let is_it = |fields: &Vec<&str>| fields.len() > 5 && (fields[0] == user || fields[2] == user);
    let line = passwd.lines().map(|line| line.split(':').collect());
    let Some(fields) = line.into_iter().find(is_it) else {
        let uid = user.parse().ok()?;
        let gid = uid;
        return Some((
            Account {
                uid,
                gid,
                groups: Vec::new(),
            },
            Vec::new(),
        ));
    };
    let name = fields[0];
    let gid = fields[3].parse().ok()?;
    let member = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_in = fields.get(3)?.split(',').any(|one| one == name);
        fields[2].parse().ok().filter(|_| is_in)
    };
    let mut more: Vec<u32> = groups.lines().filter_map(member).collect();
    more.retain(|one| *one != gid);
    more.insert(0, gid);
    let uid = fields[2].parse().ok()?;
    let env = [("HOME", fields[5]), ("USER", name), ("LOGNAME", name)];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some((
        Account {
            uid,
            gid,
            groups: more,
        },
        env.to_vec(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_keeps_its_number_and_no_two_have_the_same() {
        let data = tempfile::tempdir().expect("a folder");
        let mut users = Users::read(data.path());
        let all: Vec<u32> = (0..400)
            .map(|n| users.of_pack(&format!("pack{n}")).expect("a user").uid)
            .collect();
        let mut unique = all.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), all.len());
        assert!(all.iter().all(|uid| (FIRST..=LAST).contains(uid)));
        let mut again = Users::read(data.path());
        assert_eq!(again.of_pack("pack399").expect("a user").uid, all[399]);
    }

    #[test]
    fn users_are_found_by_name_and_number_with_their_groups() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:Ann:/home/ann:/bin/sh\n";
        let groups = "users:x:100:\ndialout:x:20:bob,ann\nadm:x:4:bob\n";
        for user in ["ann", "1000"] {
            let (account, env) = find(user, passwd, groups).expect("there");
            assert_eq!((account.uid, account.gid), (1000, 100));
            assert_eq!(account.groups, [100, 20]);
            assert_eq!(env[0], ("HOME".to_owned(), "/home/ann".to_owned()));
        }
        let (account, env) = find("4711", passwd, groups).expect("a number");
        assert_eq!((account.gid, env.len()), (4711, 0));
        assert!(find("bob", passwd, groups).is_none());
    }
}
