use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::rules::jinja::Value as Jinja;
use crate::rules::template::Templates;

/// Key files and ciphertexts that StackStorm's own program made.
const MADE: [(&str, [(&str, &str); 4]); 3] = [
    (
        r#"{"hmacKey": {"hmacKeyString": "WG2hR3zEbOzx-dh9ull9HNEyUT79GENvJUpdDd4ZLmQ", "size": 256}, "aesKeyString": "G2LSdzFOt27_s-a9dGH2sfOreYjLUBMjDh2PbhzolIU", "mode": "CBC", "size": 256}"#,
        [
            (
                "",
                "3030303030A3371983EC948C55A25AFF73077358DA843AE571DAE837D9EFB06AE283558DF908130AAD9F83D2C7DCDC2DBCD9810CE04C76CDC2",
            ),
            (
                "secret",
                "303030303067BB1DFDB211595ED6DB42ACD301A280E503D9E73D72DB19DFA3EADEB6E57D9B1C8051A8DDF0F5B353C4EE32E1194820F0CFBAAB",
            ),
            (
                "exactly 16 bytes",
                "30303030303C9758B6B243BF5DE774A7088B705AEC96D66CBF3CF5CA9992D61691BC2572094CFC2263E2286F0218A8AA3CAED1FF69D94DEF6C6824C80178C007D8CBCE2E9EC093C6C3",
            ),
            (
                "grüße 🐦 xxxxxxxxxxxxxxxxxxxx",
                "3030303030CAC01B719F0F08812ED4388448FAAB33E929C9B23947F37D0153EED9216D20B88DD175930B745C7ADA20835135B468A4B8827F10AFEE081559B1377020BCE01F086F478A6B6ADC9A082EC63C9F22237F6C2773DA",
            ),
        ],
    ),
    (
        r#"{"hmacKey": {"hmacKeyString": "rTyc9tkngy3OuEJUBBQrwg", "size": 128}, "aesKeyString": "qy5Eq8HS1ALWNkUp-hlm8Q", "mode": "CBC", "size": 128}"#,
        [
            (
                "",
                "3030303030B43AE3685DAA35832480A0A6751687BC46AD6FD67B9CB23A0510198BC31B05F9DE88042E770E08B2CB157EA6686BB9D913FF8473",
            ),
            (
                "secret",
                "3030303030AD4FAC56AB40B36D2BFC502D5C628A0ED2A0DFDDFE954C1FEBE7EE97A436E258379A157E7409316DDEF656E50C26CC039C4BD3CB",
            ),
            (
                "exactly 16 bytes",
                "3030303030CD60BB461320DC20A7CD4A464CCE970544C4DBDE63942D31D326165394D05F0E80D9096CC5011E59EB07AB51F64F36A04A30C6ABD6FE23752AF7B15BE82FE6FA1A36DFE8",
            ),
            (
                "grüße 🐦 xxxxxxxxxxxxxxxxxxxx",
                "30303030304D0111BA4504C7078A71C8E774AFDCF9BA26924C4010A468AAA5C98FEB2910697414EB030DF76AB5A6AB70AF89CEB72F1DC44AEF4534B6237BA30E23484D554B4CE3EE628B265B27EEE3D87CCFD77A9A5187A258",
            ),
        ],
    ),
    (
        r#"{"hmacKey": {"hmacKeyString": "Gnn6moA3dkNDqkPnqdH_W9lTO-W3NBKL", "size": 192}, "aesKeyString": "YJ8IM3022_SA9XGeJXW0M7GWoLieXSKJ", "mode": "CBC", "size": 192}"#,
        [
            (
                "",
                "3030303030A9E407237A3E3C7F420A82BCBBFE908FDC45F17927EA47BA0BE2ABE7424CBD858DCDC9ACF90EBC0009603D48785B4104B2862F3A",
            ),
            (
                "secret",
                "30303030303F9A413B1A82470798753C516747478808F995C2BA1F03F5F501A027166FD8499DE202AD6405D4035CC66CBB1579EE33F7E24339",
            ),
            (
                "exactly 16 bytes",
                "3030303030E73403436E33FB7F20BD19353DF6AF0824B25047C5D310CBC42530DF4307E6FD4337E80FCEFEC9D269852F5D11D20330F6C62A1C5D2195D5C520986AE900AF61233A908E",
            ),
            (
                "grüße 🐦 xxxxxxxxxxxxxxxxxxxx",
                "30303030301325305E03689D52A3FB328B96CF09BC228EC84FA8B84DFF19446EBD9E26AA0BD8FD957F9D1FE46748D8F38912CB2474FDCE635466E2B4C5A92D5FF218CAB76C1470058F7CBA4A08B6FE60F589A3F830B4A67408",
            ),
        ],
    ),
];

fn cipher() -> Cipher {
    Cipher::parse(MADE[0].0).unwrap()
}

#[test]
fn what_stackstorm_encrypted_is_read_and_written_alike() {
    for (file, values) in MADE {
        let cipher = Cipher::parse(file).unwrap();
        for (plain, hex) in values {
            assert_eq!(cipher.decrypt(hex).as_deref(), Ok(plain));
            assert_eq!(cipher.decrypt(&hex.to_lowercase()).as_deref(), Ok(plain));
            let bytes = HEXUPPER.decode(hex.as_bytes()).unwrap();
            let iv = bytes[5..21].try_into().unwrap();
            assert_eq!(cipher.encrypt(plain, iv), hex);
        }
    }
}

#[test]
fn a_new_key_is_read_back_from_its_file() {
    let (made, file) = Cipher::generate(std::array::from_fn(|index| index as u8));
    let read = Cipher::parse(&file).unwrap();
    let iv = made.iv_for(7, "k", "secret");
    assert_eq!(read.decrypt(&made.encrypt("secret", iv)).unwrap(), "secret");
    let padded = file
        .replacen("\",\"size", "=\\n\",\"size", 1)
        .replace('-', "+");
    assert!(Cipher::parse(&padded).is_ok(), "{padded}");
}

#[test]
fn nothing_shows_the_key() {
    assert_eq!(format!("{:?}", cipher()), "Cipher(AES-256)");
}

#[test]
fn ciphertexts_that_are_none_are_refused() {
    let good = MADE[0].1[1].1;
    let flipped = |at: usize| {
        let digit = if &good[at..=at] == "0" { "1" } else { "0" };
        format!("{}{digit}{}", &good[..at], &good[at + 1..])
    };
    for (hex, part) in [
        ("plain text".to_owned(), "not hexadecimal"),
        (String::new(), "too short"),
        ("ABC".to_owned(), "not hexadecimal"),
        ("30".repeat(40), "too short"),
        ("30".repeat(41), "another key"),
        (good[..good.len() - 2].to_owned(), "another key"),
        (flipped(0), "another key"),
        (flipped(12), "another key"),
        (flipped(44), "another key"),
        (flipped(good.len() - 1), "another key"),
        (MADE[1].1[1].1.to_owned(), "another key"),
    ] {
        let error = cipher().decrypt(&hex).unwrap_err();
        assert!(error.contains(part), "{hex}: {error}");
    }
}

#[test]
fn key_files_are_refused_without_a_word_of_them() {
    for (file, part) in [
        ("", "not JSON (line 1"),
        ("\"KEYTEXT\"", "`mode`"),
        (r#"{"mode": "KEYTEXT"}"#, "`mode`"),
        (r#"{"mode": "CBC", "aesKeyString": 5}"#, "`aesKeyString`"),
        (
            r#"{"mode": "CBC", "aesKeyString": "KEYTEXT?"}"#,
            "not base64",
        ),
        (
            r#"{"mode": "CBC", "aesKeyString": "S0VZVEVYVA"}"#,
            "`hmacKey.hmacKeyString`",
        ),
        (
            r#"{"mode": "CBC", "aesKeyString": "S0VZVEVYVA", "hmacKey": {"hmacKeyString": "S0VZ"}}"#,
            "56 bits",
        ),
    ] {
        let error = Cipher::parse(file).unwrap_err();
        assert!(error.contains(part), "{file}: {error}");
        assert!(
            !error.contains("KEYTEXT") && !error.contains("S0V"),
            "{error}"
        );
    }
}

#[test]
fn vectors_differ_by_number_key_and_text() {
    let cipher = cipher();
    let all = [
        cipher.iv_for(1, "a", "bc"),
        cipher.iv_for(2, "a", "bc"),
        cipher.iv_for(1, "ab", "c"),
        cipher.iv_for(1, "a", "bd"),
    ];
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), all.len());
    assert_eq!(cipher.iv_for(1, "a", "bc"), all[0]);
}

#[test]
fn templates_decrypt() {
    let value = MADE[0].1[1].1;
    let render = |cipher, source: &str| {
        let mut templates = Templates::new(cipher);
        templates.add(source)?;
        templates.render(source, &Jinja::from(&json!({"value": value, "nope": ""})))
    };
    let with = || Some(Arc::new(cipher()));
    assert_eq!(
        render(with(), "{{ value | decrypt_kv }}").unwrap(),
        "secret"
    );
    let missing = render(with(), "{{ nope | decrypt_kv }}").unwrap_err();
    assert!(missing.contains("does not exist"), "{missing}");
    let without = render(None, "{{ value | decrypt_kv }}").unwrap_err();
    assert!(without.contains("there is no key"), "{without}");
}
