//! Placeholder.
/// Placeholder.
#[derive(Debug)]
pub struct Cipher;
impl Cipher {
    /// Placeholder.
    pub fn encrypt(&self, plain: &str, _: [u8; 16]) -> String {
        plain.into()
    }
    /// Placeholder.
    /// # Errors
    /// Never.
    pub fn decrypt(&self, hex: &str) -> Result<String, String> {
        Ok(hex.into())
    }
    /// Placeholder.
    pub fn iv_for(&self, _: u64, _: &str, _: &str) -> [u8; 16] {
        [0; 16]
    }
}
