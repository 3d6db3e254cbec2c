//! Values of the datastore at rest: StackStorm's encryption (`st2common/util/crypto.py`; st2.md 8),
//! which is Keyczar's. A ciphertext is upper-case hexadecimal of `00000`, an initialisation vector,
//! AES-CBC with PKCS #7 padding, and an HMAC-SHA1 over all of it. A key file of StackStorm is read
//! as it is, and what is written here, StackStorm reads.

use std::fmt;
use std::sync::Arc;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use data_encoding::{BASE64URL_NOPAD, HEXUPPER, HEXUPPER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
use minijinja::{Environment, Error, ErrorKind, Value};
use serde_json::json;
use sha1::Sha1;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Stands for Keyczar's version and key number; nobody reads it.
const HEADER: &[u8] = b"00000";
/// Bytes of an initialisation vector.
pub const IV: usize = 16;
/// Bytes of the HMAC-SHA1 with which a ciphertext ends.
const SIGNATURE: usize = 20;
/// Keeps [`Cipher::iv_for`] apart from any other use of the key.
const IV_LABEL: &[u8] = b"petrel datastore iv 1";

/// The key of a datastore: one for AES, one for the HMAC. Both are wiped from memory at the end.
pub struct Cipher {
    aes: Zeroizing<Vec<u8>>,
    hmac: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cipher(AES-{})", self.aes.len() * 8)
    }
}

impl Cipher {
    /// Reads the text of a key file as `st2-generate-symmetric-crypto-key` writes it.
    ///
    /// # Errors
    /// What is wrong with it, without anything that it holds.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: serde_json::Value = serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("the key file is not JSON (line {line}, column {column})")
        })?;
        let mode = file["mode"].as_str().unwrap_or_default();
        if !mode.eq_ignore_ascii_case("CBC") {
            return Err("the key file's `mode` is not `CBC`, the only one there is".into());
        }
        let aes = key("aesKeyString", &file["aesKeyString"])?;
        let hmac = key("hmacKey.hmacKeyString", &file["hmacKey"]["hmacKeyString"])?;
        match aes.len() {
            16 | 24 | 32 => Ok(Self { aes, hmac }),
            length => Err(format!(
                "the key file's `aesKeyString` has {} bits; 128, 192 or 256 are possible",
                length * 8
            )),
        }
    }

    /// A new key of 256 bits, and the text of its file. The randomness is the caller's.
    pub fn generate(random: [u8; 64]) -> (Self, String) {
        let random = Zeroizing::new(random);
        let (aes, hmac) = random.split_at(32);
        let file = json!({
            "hmacKey": {"hmacKeyString": BASE64URL_NOPAD.encode(hmac), "size": 256},
            "aesKeyString": BASE64URL_NOPAD.encode(aes),
            "mode": "CBC",
            "size": 256,
        });
        let cipher = Self {
            aes: Zeroizing::new(aes.to_vec()),
            hmac: Zeroizing::new(hmac.to_vec()),
        };
        (cipher, format!("{file}\n"))
    }

    /// The ciphertext of a text. One initialisation vector serves for one text.
    pub fn encrypt(&self, plain: &str, iv: [u8; IV]) -> String {
        let mut message = HEADER.to_vec();
        message.extend_from_slice(&iv);
        message.extend_from_slice(&self.blocks(plain.as_bytes(), &iv));
        let signature = self.sign(&message).finalize();
        message.extend_from_slice(&signature.into_bytes());
        HEXUPPER.encode(&message)
    }

    /// The text of a ciphertext.
    ///
    /// # Errors
    /// That it is none, or was made with another key.
    pub fn decrypt(&self, hex: &str) -> Result<String, String> {
        let bytes = HEXUPPER_PERMISSIVE.decode(hex.trim().as_bytes());
        let bytes = bytes.map_err(|_| "the value is not encrypted: it is not hexadecimal")?;
        let least = HEADER.len() + IV + SIGNATURE;
        if bytes.len() < least {
            return Err("the value is not encrypted, or was cut: it is too short".into());
        }
        let (message, signature) = bytes.split_at(bytes.len() - SIGNATURE);
        // Compares in constant time.
        let genuine = self.sign(message).verify_slice(signature);
        genuine.map_err(|_| "the value was encrypted with another key, or was changed since")?;
        let (iv, blocks) = message[HEADER.len()..].split_at(IV);
        let damaged = "the value is signed with this key, but is not a text encrypted with it";
        let plain = self.text(blocks, iv).ok_or(damaged)?;
        String::from_utf8(plain).map_err(|_| damaged.to_owned())
    }

    /// The initialisation vector for one text: an HMAC-SHA256 of a number that is never used
    /// twice, the name of the key, and the text. It is derived because the core draws no random
    /// numbers; without the key it cannot be told from one, and should a number ever come twice,
    /// only the same text under the same name gives the same ciphertext.
    pub fn iv_for(&self, nonce: u64, key: &str, plain: &str) -> [u8; IV] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.hmac).expect("any length is a key");
        mac.update(IV_LABEL);
        mac.update(&nonce.to_be_bytes());
        mac.update(&(key.len() as u64).to_be_bytes());
        mac.update(key.as_bytes());
        mac.update(plain.as_bytes());
        let digest = mac.finalize().into_bytes();
        std::array::from_fn(|index| digest[index])
    }

    fn sign(&self, message: &[u8]) -> Hmac<Sha1> {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.hmac).expect("any length is a key");
        mac.update(message);
        mac
    }

    fn blocks(&self, plain: &[u8], iv: &[u8]) -> Vec<u8> {
        const LENGTHS: &str = "checked when the key was read";
        match self.aes.len() {
            16 => cbc::Encryptor::<Aes128>::new_from_slices(&self.aes, iv)
                .expect(LENGTHS)
                .encrypt_padded_vec::<Pkcs7>(plain),
            24 => cbc::Encryptor::<Aes192>::new_from_slices(&self.aes, iv)
                .expect(LENGTHS)
                .encrypt_padded_vec::<Pkcs7>(plain),
            _ => cbc::Encryptor::<Aes256>::new_from_slices(&self.aes, iv)
                .expect(LENGTHS)
                .encrypt_padded_vec::<Pkcs7>(plain),
        }
    }

    fn text(&self, blocks: &[u8], iv: &[u8]) -> Option<Vec<u8>> {
        let plain = match self.aes.len() {
            16 => cbc::Decryptor::<Aes128>::new_from_slices(&self.aes, iv)
                .ok()?
                .decrypt_padded_vec::<Pkcs7>(blocks),
            24 => cbc::Decryptor::<Aes192>::new_from_slices(&self.aes, iv)
                .ok()?
                .decrypt_padded_vec::<Pkcs7>(blocks),
            _ => cbc::Decryptor::<Aes256>::new_from_slices(&self.aes, iv)
                .ok()?
                .decrypt_padded_vec::<Pkcs7>(blocks),
        };
        plain.ok()
    }
}

/// One key of the file: base64 in either alphabet, with blanks and padding or without.
fn key(name: &str, value: &serde_json::Value) -> Result<Zeroizing<Vec<u8>>, String> {
    let text = value.as_str();
    let text = text.ok_or_else(|| format!("the key file has no text `{name}`"))?;
    let web = |byte: u8| match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    };
    let bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let bytes = Zeroizing::new(bytes.map(web).collect::<Vec<_>>());
    let bytes = bytes.trim_ascii_end();
    let end = bytes.iter().rposition(|byte| *byte != b'=');
    let decoded = BASE64URL_NOPAD.decode(&bytes[..end.map_or(0, |end| end + 1)]);
    match decoded {
        Ok(key) if !key.is_empty() => Ok(Zeroizing::new(key)),
        Ok(_) => Err(format!("the key file's `{name}` is empty")),
        Err(_) => Err(format!("the key file's `{name}` is not base64")),
    }
}

/// Adds the filter `decrypt_kv`, which gives the text of an encrypted value.
pub fn add_to(environment: &mut Environment<'static>, cipher: Option<Arc<Cipher>>) {
    environment.add_filter("decrypt_kv", move |value: &Value| {
        let wrong = |message: String| Error::new(ErrorKind::InvalidOperation, message);
        let text = match value.is_undefined() || value.is_none() {
            true => String::new(),
            false => value.to_string(),
        };
        if text.is_empty() {
            return Err(wrong(
                "the key does not exist, or its value is empty".into(),
            ));
        }
        let cipher = cipher.as_ref().ok_or_else(|| {
            wrong("the value cannot be decrypted: the datastore has no key file".into())
        })?;
        cipher.decrypt(&text).map_err(wrong)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut environment = Environment::new();
            add_to(&mut environment, cipher);
            let context = minijinja::context! { value };
            let text = environment.render_str(source, context);
            text.map_err(|error| error.to_string())
        };
        let with = || Some(Arc::new(cipher()));
        assert_eq!(
            render(with(), "{{ value | decrypt_kv }}").unwrap(),
            "secret"
        );
        let missing = render(with(), "{{ nope | decrypt_kv }}").unwrap_err();
        assert!(missing.contains("does not exist"), "{missing}");
        let without = render(None, "{{ value | decrypt_kv }}").unwrap_err();
        assert!(without.contains("no key file"), "{without}");
    }
}
