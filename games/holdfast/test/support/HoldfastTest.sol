// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import { ExclaveSession } from "@exclave/session/ExclaveSession.sol";
import { IExclaveSession as Session } from "@exclave/interfaces/IExclaveSession.sol";
import { StoreSwitch } from "@latticexyz/store/src/StoreSwitch.sol";
import { ResourceId, WorldResourceIdLib } from "@latticexyz/world/src/WorldResourceId.sol";
import { System } from "@latticexyz/world/src/System.sol";
import { World } from "@latticexyz/world/src/World.sol";
import { InitModule } from "@latticexyz/world/src/modules/init/InitModule.sol";
import { RegistrationSystem } from "@latticexyz/world/src/modules/init/RegistrationSystem.sol";
import { AccessManagementSystem } from "@latticexyz/world/src/modules/init/implementations/AccessManagementSystem.sol";
import { BalanceTransferSystem } from "@latticexyz/world/src/modules/init/implementations/BalanceTransferSystem.sol";
import { BatchCallSystem } from "@latticexyz/world/src/modules/init/implementations/BatchCallSystem.sol";
import { RESOURCE_SYSTEM } from "@latticexyz/world/src/worldResourceTypes.sol";

import { Rules } from "../../script/Rules.sol";
import { Direction, Terrain, UnitKind } from "../../src/codegen/common.sol";
import "../../src/codegen/index.sol";
import { IWorld } from "../../src/codegen/world/IWorld.sol";
import { Army } from "../../src/libraries/Army.sol";
import { EXCLAVE_SESSION } from "../../src/session/IExclaveSession.sol";
import { BuildSystem } from "../../src/systems/BuildSystem.sol";
import { CaptureSystem } from "../../src/systems/CaptureSystem.sol";
import { CombatSystem } from "../../src/systems/CombatSystem.sol";
import { MoveSystem } from "../../src/systems/MoveSystem.sol";
import { SessionSystem } from "../../src/systems/SessionSystem.sol";
import { TurnSystem } from "../../src/systems/TurnSystem.sol";
import { ViewSystem } from "../../src/systems/ViewSystem.sol";
import { TestBase } from "./TestBase.sol";

/// @dev The game in a real World under the real session contract. The test owns the root namespace, so that it can set scenes by
/// writing tables; that the deployed World has no owner is tested in tests/game.
abstract contract HoldfastTest is TestBase {
  address internal constant SYSTEM_ADDRESS = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
  uint32 internal constant TURN_SECONDS = 60;
  uint32 internal constant TURN_LIMIT = 20;
  uint256 internal constant START = 1_700_000_000;
  uint64 internal constant DEADLINE = uint64(START + 1 days);
  uint8 internal constant FORD = 1;
  uint8 internal constant CROSSING = 3;

  IWorld internal world;
  Session internal session = Session(EXCLAVE_SESSION);

  function setUp() public virtual {
    vm.warp(START);
    vm.etch(EXCLAVE_SESSION, address(new ExclaveSession()).code);
    World deployed = new World();
    deployed.initialize(
      new InitModule(
        new AccessManagementSystem(),
        new BalanceTransferSystem(),
        new BatchCallSystem(),
        new RegistrationSystem()
      )
    );
    world = IWorld(address(deployed));
    StoreSwitch.setStoreAddress(address(world));
    _registerTables();
    _registerSystems();
    Rules.write();
    session.bindGame(address(world));
  }

  // -- The match

  function account(uint256 index) internal pure returns (address) {
    return address(uint160(0xA11CE000 + index));
  }

  function accounts(uint256 count) internal pure returns (address[] memory players) {
    players = new address[](count);
    for (uint256 i; i < count; ++i) players[i] = account(i);
  }

  function start(uint8 levelId, uint256 count) internal {
    start(levelId, count, bytes32(0));
  }

  function start(uint8 levelId, uint256 count, bytes32 seed) internal {
    begin(accounts(count), seed, abi.encode(levelId, TURN_SECONDS, TURN_LIMIT));
  }

  function begin(address[] memory players, bytes32 seed, bytes memory initData) internal {
    vm.prank(SYSTEM_ADDRESS);
    session.init(keccak256("config"), 7, DEADLINE, seed, players, initData);
  }

  /// @return The account with a number.
  function seat(uint8 player) internal view returns (address) {
    return Player.getAccount(player);
  }

  function nextTurn() internal {
    vm.warp(block.timestamp + TURN_SECONDS);
  }

  /// @dev The ways of acting, each as a player.

  function move(uint8 player, uint8 unitId, Direction[] memory path) internal {
    vm.prank(seat(player));
    world.move(unitId, path);
  }

  function attack(uint8 player, uint8 unitId, uint8 x, uint8 y) internal {
    vm.prank(seat(player));
    world.attack(unitId, x, y);
  }

  function capture(uint8 player, uint8 unitId) internal {
    vm.prank(seat(player));
    world.capture(unitId);
  }

  function build(uint8 player, uint8 x, uint8 y, UnitKind kind) internal {
    vm.prank(seat(player));
    world.build(x, y, kind);
  }

  function endTurn(uint8 player) internal {
    address who = seat(player);
    vm.prank(who);
    world.endTurn();
  }

  // -- Setting scenes

  /// @dev A unit that is fresh in every turn.
  function place(uint8 player, UnitKind kind, uint8 x, uint8 y, uint8 health) internal returns (uint8 unitId) {
    uint16 slots = Player.getUnitSlots(player);
    uint8 slot;
    while (slots & (1 << slot) != 0) ++slot;
    Player.setUnitSlots(player, slots | uint16(1 << slot));
    unitId = Army.idOf(player, slot);
    Unit.set(unitId, UnitData(kind, player, x, y, health, 0, 0));
    Occupant.set(x, y, unitId);
  }

  function setGround(uint8 x, uint8 y, Terrain terrain) internal {
    uint128 row = TerrainRow.getTiles(y);
    row = (row & ~(uint128(0xff) << (8 * x))) | (uint128(uint8(terrain)) << (8 * x));
    TerrainRow.setTiles(y, row);
  }

  /// @dev Grass everywhere, and no structure but the keeps.
  function flatten() internal {
    uint8 height = MatchConfig.getHeight();
    uint8 width = MatchConfig.getWidth();
    for (uint8 y; y < height; ++y) {
      TerrainRow.setTiles(y, 0);
      for (uint8 x; x < width; ++x) {
        if (Structure.getOwner(x, y) == 0) Structure.deleteRecord(x, y);
      }
    }
  }

  function steps(Direction direction, uint256 count) internal pure returns (Direction[] memory path) {
    path = new Direction[](count);
    for (uint256 i; i < count; ++i) path[i] = direction;
  }

  /// @dev The militia that a player starts with.
  function first(uint8 player) internal pure returns (uint8) {
    return Army.idOf(player, 0);
  }

  // -- Deployment, as `mud deploy` does it

  function systemId(bytes16 name) internal pure returns (ResourceId) {
    return WorldResourceIdLib.encode(RESOURCE_SYSTEM, "", name);
  }

  function _registerTables() private {
    UnitType.register();
    Level.register();
    MatchConfig.register();
    Clock.register();
    MatchFinished.register();
    MatchRanking.register();
    PlayerNumber.register();
    Player.register();
    Treasury.register();
    Tally.register();
    TerrainRow.register();
    Structure.register();
    Occupant.register();
    Unit.register();
    Combat.register();
    Steps.register();
  }

  function _registerSystems() private {
    _register(
      "SessionSystem",
      new SessionSystem(),
      "exclaveInit(uint64,bytes32,address[],bytes)",
      "exclaveOutcomeIfStopped()"
    );
    _register("MoveSystem", new MoveSystem(), "move(uint8,uint8[])", "");
    _register("CombatSystem", new CombatSystem(), "attack(uint8,uint8,uint8)", "");
    _register("CaptureSystem", new CaptureSystem(), "capture(uint8)", "");
    _register("BuildSystem", new BuildSystem(), "build(uint8,uint8,uint8)", "");
    _register("TurnSystem", new TurnSystem(), "endTurn()", "surrender()");
    _select("TurnSystem", "conclude()");
    _register("ViewSystem", new ViewSystem(), "viewMatch()", "viewTerrain()");
  }

  function _register(bytes16 name, System system, string memory signature, string memory another) private {
    world.registerSystem(systemId(name), system, true);
    _select(name, signature);
    if (bytes(another).length != 0) _select(name, another);
  }

  function _select(bytes16 name, string memory signature) private {
    world.registerRootFunctionSelector(systemId(name), signature, signature);
  }
}
