//! Every bound of the cluster's machines: its unit, why it is what it is, and what happens when it is
//! reached.
