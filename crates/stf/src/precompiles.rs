//! The precompiled contracts of a session: Osaka's, with ecrecover answered by [`Recoveries`].

use crate::recovery::Recoveries;
use alloc::string::String;
use alloy_primitives::map::AddressSet;
use alloy_primitives::{Address, Bytes, B256, U256};
use revm::context::{Cfg, ContextTr};
use revm::handler::{precompile_output_to_interpreter_result, EthPrecompiles, PrecompileProvider};
use revm::interpreter::{CallInputs, InterpreterResult};
use revm::precompile::{PrecompileHalt, PrecompileOutput};
use revm::primitives::hardfork::SpecId;

/// Address of the ecrecover precompile.
const ECRECOVER: Address = revm::precompile::u64_to_address(1);

/// Gas of a recovery (yellow paper, appendix E).
const ECRECOVER_GAS: u64 = 3_000;

pub(crate) struct SessionPrecompiles<'a> {
    ethereum: EthPrecompiles,
    recoveries: &'a dyn Recoveries,
}

impl<'a> SessionPrecompiles<'a> {
    pub fn new(recoveries: &'a dyn Recoveries) -> Self {
        Self { ethereum: EthPrecompiles::new(SpecId::OSAKA), recoveries }
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

    fn set_spec(&mut self, spec: SpecId) -> bool {
        PrecompileProvider::<CTX>::set_spec(&mut self.ethereum, spec)
    }

    fn run(&mut self, context: &mut CTX, inputs: &CallInputs) -> Result<Option<InterpreterResult>, String> {
        if inputs.bytecode_address != ECRECOVER {
            return self.ethereum.run(context, inputs);
        }
        let output = if inputs.gas_limit < ECRECOVER_GAS {
            PrecompileOutput::halt(PrecompileHalt::OutOfGas, inputs.reservoir)
        } else {
            let signer = self.recover(&inputs.input.as_bytes(context));
            PrecompileOutput::new(ECRECOVER_GAS, signer, inputs.reservoir)
        };
        Ok(Some(precompile_output_to_interpreter_result(output, inputs.gas_limit)))
    }

    fn warm_addresses(&self) -> &AddressSet {
        self.ethereum.warm_addresses()
    }
}
