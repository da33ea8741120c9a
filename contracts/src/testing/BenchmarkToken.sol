// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title An ordinary ERC-20 token, for benchmarks: its balances are set in a genesis.
contract BenchmarkToken is ERC20("Benchmark", "BENCH") {}
