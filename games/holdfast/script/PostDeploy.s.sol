// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { ROOT_NAMESPACE_ID } from "@latticexyz/world/src/constants.sol";
import { IBaseWorld } from "@latticexyz/world/src/codegen/interfaces/IBaseWorld.sol";
import { StoreSwitch } from "@latticexyz/store/src/StoreSwitch.sol";

import { EXCLAVE_SESSION, IExclaveSession } from "../src/session/IExclaveSession.sol";
import { Rules } from "./Rules.sol";

interface Vm {
  function startBroadcast(uint256 privateKey) external;
  function stopBroadcast() external;
  function envUint(string calldata name) external view returns (uint256);
}

/// @notice `mud deploy` runs this last: writes the rules, binds the World to the session, and gives the World away for good.
contract PostDeploy {
  Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

  /// @dev What forge looks for in a script.
  bool public constant IS_SCRIPT = true;

  function run(address worldAddress) external {
    StoreSwitch.setStoreAddress(worldAddress);
    vm.startBroadcast(vm.envUint("PRIVATE_KEY"));
    Rules.write();
    IExclaveSession(EXCLAVE_SESSION).bindGame(worldAddress);
    // Whoever owned the root namespace could change tables and systems in the middle of a match.
    IBaseWorld(worldAddress).renounceOwnership(ROOT_NAMESPACE_ID);
    vm.stopBroadcast();
  }
}
