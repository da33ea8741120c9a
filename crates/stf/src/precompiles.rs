//! The precompiled contracts of a session: Osaka's, with ecrecover answered by [`Recoveries`] and a dearer point evaluation.

use crate::recovery::Recoveries;
use alloc::string::{String, ToString};
use alloy_primitives::map::AddressSet;
use alloy_primitives::{Address, Bytes, B256, U256};
use revm::context::{Cfg, ContextTr};
use revm::handler::{precompile_output_to_interpreter_result, PrecompileProvider};
use revm::interpreter::{CallInputs, InterpreterResult};
use revm::precompile::{
    blake2, bls12_381, bn254, call_eth_precompile, hash, identity, kzg_point_evaluation, modexp, secp256k1, secp256r1,
    EthPrecompileOutput, EthPrecompileResult, Precompile, PrecompileHalt, PrecompileId, PrecompileOutput,
};
use revm::primitives::hardfork::SpecId;

/// Gas of a recovery (yellow paper, appendix E).
const ECRECOVER_GAS: u64 = 3_000;

/// Gas of a point evaluation (EIP-4844's precompile 0x0a): twenty times Ethereum's. It takes the guest 153 million
/// instructions, so that for Ethereum's price a transaction that repeats it could not be proven within any window.
pub const POINT_EVALUATION_GAS: u64 = 1_000_000;

fn evaluate_point(input: &[u8], gas_limit: u64) -> EthPrecompileResult {
    if gas_limit < POINT_EVALUATION_GAS {
        return Err(PrecompileHalt::OutOfGas);
    }
    let output = kzg_point_evaluation::run(input, gas_limit)?;
    Ok(EthPrecompileOutput::new(POINT_EVALUATION_GAS, output.bytes))
}

const POINT_EVALUATION: Precompile =
    Precompile::new(PrecompileId::KzgPointEvaluation, kzg_point_evaluation::ADDRESS, |input, gas_limit, reservoir| {
        Ok(call_eth_precompile(evaluate_point, input, gas_limit, reservoir))
    });

/// Those of Osaka. revm keeps the same in maps, which would cost a proof as much as a transfer's execution.
static PRECOMPILES: [Precompile; 18] = [
    secp256k1::ECRECOVER,
    hash::SHA256,
    hash::RIPEMD160,
    identity::FUN,
    modexp::OSAKA,
    bn254::add::ISTANBUL,
    bn254::mul::ISTANBUL,
    bn254::pair::ISTANBUL,
    blake2::FUN,
    POINT_EVALUATION,
    bls12_381::g1_add::PRECOMPILE,
    bls12_381::g1_msm::PRECOMPILE,
    bls12_381::g2_add::PRECOMPILE,
    bls12_381::g2_msm::PRECOMPILE,
    bls12_381::pairing::PRECOMPILE,
    bls12_381::map_fp_to_g1::PRECOMPILE,
    bls12_381::map_fp2_to_g2::PRECOMPILE,
    secp256r1::P256VERIFY_OSAKA,
];

/// The precompile at an address.
fn precompile(address: &Address) -> Option<&'static Precompile> {
    // All addresses but these are sorted out here.
    if address.0[..4] != [0; 4] {
        return None;
    }
    PRECOMPILES.iter().find(|precompile| precompile.address() == address)
}

pub(crate) struct SessionPrecompiles<'a> {
    addresses: AddressSet,
    recoveries: &'a dyn Recoveries,
}

impl<'a> SessionPrecompiles<'a> {
    pub fn new(recoveries: &'a dyn Recoveries) -> Self {
        Self { addresses: PRECOMPILES.iter().map(|precompile| *precompile.address()).collect(), recoveries }
    }

    /// What ecrecover puts out for an input: an address in a word, or nothing.
    fn recover(&self, input: &[u8]) -> Bytes {
        let mut padded = [0u8; 128];
        let length = input.len().min(padded.len());
        padded[..length].copy_from_slice(&input[..length]);
        let word = |index: usize| -> [u8; 32] {
            let mut word = [0u8; 32];
            word.copy_from_slice(&padded[32 * index..32 * index + 32]);
            word
        };
        let v = U256::from_be_bytes(word(1));
        if v != U256::from(27) && v != U256::from(28) {
            return Bytes::new();
        }
        let (r, s) = (U256::from_be_bytes(word(2)), U256::from_be_bytes(word(3)));
        match self.recoveries.recover(&B256::from(word(0)), v == U256::from(28), &r, &s) {
            Some(signer) => Bytes::copy_from_slice(signer.into_word().as_slice()),
            None => Bytes::new(),
        }
    }
}

impl<CTX: ContextTr<Cfg: Cfg<Spec = SpecId>>> PrecompileProvider<CTX> for SessionPrecompiles<'_> {
    type Output = InterpreterResult;

    fn set_spec(&mut self, _: SpecId) -> bool {
        false
    }

    fn run(&mut self, context: &mut CTX, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        let Some(precompile) = precompile(&inputs.bytecode_address) else {
            return Ok(None);
        };
        let input = inputs.input.as_bytes(context);
        let output = if precompile.address() != secp256k1::ECRECOVER.address() {
            precompile.execute(&input, inputs.gas_limit, inputs.reservoir).map_err(|error| error.to_string())?
        } else if inputs.gas_limit < ECRECOVER_GAS {
            PrecompileOutput::halt(PrecompileHalt::OutOfGas, inputs.reservoir)
        } else {
            PrecompileOutput::new(ECRECOVER_GAS, self.recover(&input), inputs.reservoir)
        };
        Ok(Some(precompile_output_to_interpreter_result(output, inputs.gas_limit)))
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.addresses
    }

    fn contains(&self, address: &Address) -> bool {
        precompile(address).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;
    use revm::precompile::Precompiles;

    #[test]
    fn they_are_osakas() {
        let osaka = Precompiles::osaka();
        assert_eq!(osaka.addresses().len(), PRECOMPILES.len());
        for address in osaka.addresses() {
            let (ours, theirs) = (precompile(address).unwrap(), osaka.get(address).unwrap());
            assert_eq!((ours.id(), ours.address()), (theirs.id(), theirs.address()));
            if *address == kzg_point_evaluation::ADDRESS {
                continue;
            }
            // Their functions are the same: they charge the same and answer the same, also for no input.
            let [our, their] = [ours, theirs].map(|precompile| precompile.execute(&[], 1 << 20, 0).unwrap());
            assert_eq!(our, their);
        }
        assert!(precompile(&Address::ZERO).is_none());
        assert!(precompile(&Address::repeat_byte(1)).is_none());
    }

    #[test]
    fn a_point_evaluation_answers_as_osakas_for_its_own_price() {
        let osaka = Precompiles::osaka();
        let theirs = osaka.get(&kzg_point_evaluation::ADDRESS).unwrap();
        let vectors = include_str!("../tests/precompiles.txt").lines().filter_map(|line| line.strip_prefix("00a "));
        let mut successes = 0;
        for vector in vectors {
            let input = hex::decode(vector.split(' ').next().unwrap()).unwrap();
            let [our, their] = [&POINT_EVALUATION, theirs]
                .map(|precompile| precompile.execute(&input, POINT_EVALUATION_GAS, 0).unwrap());
            assert_eq!((&our.status, &our.bytes), (&their.status, &their.bytes));
            if our.status.is_success() {
                successes += 1;
                assert_eq!((our.gas_used, their.gas_used), (POINT_EVALUATION_GAS, kzg_point_evaluation::GAS_COST));
            }
            let poor = POINT_EVALUATION.execute(&input, POINT_EVALUATION_GAS - 1, 0).unwrap();
            assert!(poor.status.is_halt() && poor.bytes.is_empty());
        }
        assert!(successes > 0);
    }
}
