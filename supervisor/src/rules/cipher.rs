//! Values of the datastore at rest: StackStorm's encryption (`st2common/util/crypto.py`; st2.md 8),
//! which is Keyczar's. A ciphertext is upper-case hexadecimal of `00000`, an initialisation vector,
//! AES-CBC with PKCS #7 padding, and an HMAC-SHA1 over all of it. A key file of StackStorm is read
//! as it is, and what is written here, StackStorm reads.

#[cfg(test)]
mod tests;

use std::fmt;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use data_encoding::{BASE64URL_NOPAD, HEXUPPER, HEXUPPER_PERMISSIVE};
use hmac::{Hmac, KeyInit, Mac};
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
