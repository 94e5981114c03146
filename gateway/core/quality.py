"""How far a value may be trusted, in the words of OPC UA (Part 8, StatusCodes)."""

from enum import Enum, StrEnum


class Quality(Enum):
    """The severity of an OPC UA status code: the top two bits."""

    GOOD = "Good"
    UNCERTAIN = "Uncertain"
    BAD = "Bad"


class Reason(StrEnum):
    """Why a reading has its quality: an OPC UA StatusCode name.

    The names we use are a subset of the standard's; ``tests/oracles/opcua_status_codes.csv`` proves each one.
    """

    GOOD = "Good"
    GOOD_LOCAL_OVERRIDE = "GoodLocalOverride"
    UNCERTAIN_LAST_USABLE_VALUE = "UncertainLastUsableValue"
    UNCERTAIN_SENSOR_NOT_ACCURATE = "UncertainSensorNotAccurate"
    UNCERTAIN_ENGINEERING_UNITS_EXCEEDED = "UncertainEngineeringUnitsExceeded"
    BAD_SENSOR_FAILURE = "BadSensorFailure"
    BAD_NOT_CONNECTED = "BadNotConnected"
    BAD_NO_COMMUNICATION = "BadNoCommunication"
    BAD_TIMEOUT = "BadTimeout"
    BAD_COMMUNICATION_ERROR = "BadCommunicationError"
    BAD_DATA_ENCODING_INVALID = "BadDataEncodingInvalid"
    BAD_OUT_OF_RANGE = "BadOutOfRange"
    BAD_OUT_OF_SERVICE = "BadOutOfService"
    BAD_CONFIGURATION_ERROR = "BadConfigurationError"
    BAD_WAITING_FOR_INITIAL_DATA = "BadWaitingForInitialData"
    BAD_INTERNAL_ERROR = "BadInternalError"

    @property
    def quality(self) -> Quality:
        """The severity the name begins with."""
        if self.value.startswith("Good"):
            return Quality.GOOD
        return Quality.UNCERTAIN if self.value.startswith("Uncertain") else Quality.BAD
