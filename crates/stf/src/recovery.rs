//! Recovery of signers. Whoever verifies a proof can check a recovery for 3,000 gas, a proof costs millions of
//! instructions for it. So the executor asks [`Recoveries`], and a guest may answer from a list that is made public.

use crate::constants::SIGNATURE_S_MAX;
use alloc::vec::Vec;
use alloy_consensus::crypto::secp256k1::recover_signer_unchecked;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{keccak256, Address, Signature, B256, U256};
use core::cell::{Cell, RefCell};

/// A signature of a hash, and who made it: `ecrecover(hash, v, r, s) == signer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// What was signed.
    pub hash: B256,
    /// Whether the y coordinate of the curve point is odd; `v` is 28 if so, else 27.
    pub is_odd: bool,
    pub r: U256,
    pub s: U256,
    /// Zero if nobody can have made the signature.
    pub signer: Address,
}

impl Recovery {
    /// Length of the encoding, in bytes.
    pub const LENGTH: usize = 5 * 32;

    /// Appends `abi.encode(hash, v, r, s, signer)`.
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.hash.as_slice());
        out.extend_from_slice(&[0; 31]);
        out.push(27 + u8::from(self.is_odd));
        out.extend_from_slice(&self.r.to_be_bytes::<32>());
        out.extend_from_slice(&self.s.to_be_bytes::<32>());
        out.extend_from_slice(self.signer.into_word().as_slice());
    }
}

/// The words of recoveries, one after the other.
pub fn encode_recoveries(recoveries: &[Recovery]) -> Vec<u8> {
    let mut words = Vec::with_capacity(recoveries.len() * Recovery::LENGTH);
    for recovery in recoveries {
        recovery.encode(&mut words);
    }
    words
}

/// keccak256 of the recoveries' words (`docs/protocol.md`, section 9).
pub fn recoveries_hash(recoveries: &[Recovery]) -> B256 {
    keccak256(encode_recoveries(recoveries))
}

/// Who signed. An execution asks in a fixed order: for each transaction its sender, then its authorities (EIP-7702), then
/// what its code asks the ecrecover precompile.
pub trait Recoveries {
    /// What ecrecover gives for a `v` of 27 or 28. High values of `s` are not refused here.
    fn recover(&self, hash: &B256, is_odd: bool, r: &U256, s: &U256) -> Option<Address>;
}

/// Recoveries as they are computed: libsecp256k1 or k256, by the features of the build.
pub struct ComputedRecoveries;

impl Recoveries for ComputedRecoveries {
    fn recover(&self, hash: &B256, is_odd: bool, r: &U256, s: &U256) -> Option<Address> {
        recover_signer_unchecked(&Signature::new(*r, *s, is_odd), *hash).ok()
    }
}

/// Recoveries that are computed, the first of them kept.
pub struct RecordedRecoveries {
    /// How many are kept.
    limit: usize,
    recorded: RefCell<Vec<Recovery>>,
}

impl RecordedRecoveries {
    /// Keeps the first `limit`.
    pub fn new(limit: usize) -> Self {
        Self { limit, recorded: RefCell::default() }
    }

    /// What was recorded.
    pub fn into_list(self) -> Vec<Recovery> {
        self.recorded.into_inner()
    }
}

impl Recoveries for RecordedRecoveries {
    fn recover(&self, hash: &B256, is_odd: bool, r: &U256, s: &U256) -> Option<Address> {
        let signer = ComputedRecoveries.recover(hash, is_odd, r, s);
        let mut recorded = self.recorded.borrow_mut();
        if recorded.len() < self.limit {
            let signer = signer.unwrap_or_default();
            recorded.push(Recovery { hash: *hash, is_odd, r: *r, s: *s, signer });
        }
        signer
    }
}

/// Recoveries of which the first are taken from a list of answers, as they are, and noted for somebody else to check.
/// The others are computed.
pub struct AnsweredRecoveries<'a> {
    answers: Cell<&'a [Address]>,
    noted: RefCell<Vec<Recovery>>,
}

impl<'a> AnsweredRecoveries<'a> {
    /// With the zero address where ecrecover fails.
    pub fn new(answers: &'a [Address]) -> Self {
        Self { answers: Cell::new(answers), noted: RefCell::new(Vec::with_capacity(answers.len())) }
    }

    /// The recoveries that remain to be checked; `None` if not all answers were asked for.
    pub fn into_list(self) -> Option<Vec<Recovery>> {
        self.answers.get().is_empty().then(|| self.noted.into_inner())
    }
}

impl Recoveries for AnsweredRecoveries<'_> {
    fn recover(&self, hash: &B256, is_odd: bool, r: &U256, s: &U256) -> Option<Address> {
        let Some((&signer, rest)) = self.answers.get().split_first() else {
            return ComputedRecoveries.recover(hash, is_odd, r, s);
        };
        self.answers.set(rest);
        self.noted.borrow_mut().push(Recovery { hash: *hash, is_odd, r: *r, s: *s, signer });
        (!signer.is_zero()).then_some(signer)
    }
}

/// The signer of a hash, with the rule that ecrecover lacks: `s` is at most half of the curve's order (EIP-2).
pub(crate) fn recover_low_s(recoveries: &dyn Recoveries, hash: &B256, signature: &Signature) -> Option<Address> {
    if signature.s() > SIGNATURE_S_MAX {
        return None;
    }
    recoveries.recover(hash, signature.v(), &signature.r(), &signature.s())
}

/// The authority of an authorization (EIP-7702). Whether it is for this chain is not looked at.
pub(crate) fn recover_authority(recoveries: &dyn Recoveries, signed: &SignedAuthorization) -> Option<Address> {
    let signature = signed.signature().ok()?;
    recover_low_s(recoveries, &signed.inner().signature_hash(), &signature)
}
