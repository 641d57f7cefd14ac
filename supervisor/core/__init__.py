"""The pure core: values, the unit machine and the fleet. Nothing here touches the world or reads a clock."""
