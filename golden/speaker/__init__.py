"""The speaker task: a recurrent network of leaky integrate-and-fire neurons that hears who speaks."""
